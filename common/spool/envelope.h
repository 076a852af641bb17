// What the queue knows of a message: one envelope, and one row for each frozen target of each
// envelope recipient. Plain data; queue_db.h keeps it. All ESMTP parameters have their place from
// the first day (RULES.md K2), whether announced or not.
#pragma once

#include "common/base/id.h"
#include "common/base/time.h"

#include <compare>
#include <cstdint>
#include <string>

namespace tambo::spool {

// Who brought the message in. Numbers are stored.
enum class Source : uint8_t { mx = 0, submission = 1, queue = 2, last_ = queue };

// What a message that the queue itself wrote says. Numbers are stored.
enum class Report : uint8_t {
    none = 0,
    failure = 1,
    delay = 2,
    postmaster = 3,
    last_ = postmaster
};

struct Envelope {
    int64_t seq = 0; // order of acceptance, never used again
    Id qid;
    Source source = Source::mx;
    Report report = Report::none;
    std::string report_key; // of a report: unique, so that it is written once (RULES.md R20)
    std::string sid, login, reverse_path;
    std::string helo, client_ip, client_name, protocol, message_id, header_from;
    std::string dkim_domain; // to sign for; empty: do not sign

    uint8_t body = 0; // 0 7BIT, 1 8BITMIME, 2 BINARYMIME
    bool smtputf8 = false, require_tls = false;
    std::string ret, envid; // RFC 3461
    int64_t hold_until_ms = 0, deliver_by_ms = 0;
    int8_t priority = 0;

    std::string prefix;  // fields in front of the body, CRLF lines
    uint64_t length = 0; // of the body
    uint32_t crc32c = 0; // of the body
    UtcTime accepted;
    int64_t uptime_ms = 0; // how long the queue had run in all when it was accepted (RULES.md R23)
    bool held = false;     // by an administrator
    bool lost = false;     // the body has gone
    bool notified = false; // the sender knows of the delay
};

// Names one delivery within the queue; with the queue id it is the idempotency key for ever.
struct RecipientKey {
    int64_t seq = 0;
    uint32_t rcpt_no = 0, action_no = 0;

    auto operator<=>(const RecipientKey&) const = default;
};

// The last thing that was said about a delivery.
struct Status {
    uint16_t code = 0; // 0: nothing yet
    std::string enhanced, text;
    std::string host;       // that said it; empty: we ourselves
    bool from_peer = false; // text is the peer's own
};

// refused: by authd when the message was complete, while others were not; the sender is to be told.
enum class Kind : uint8_t { local = 0, remote = 1, refused = 2, last_ = refused };

struct Recipient {
    uint32_t rcpt_no = 0, action_no = 0; // recipient of the envelope, target of that recipient
    std::string original, notify, orcpt; // as the client gave it; RFC 3461
    Kind kind = Kind::local;
    Id account;              // local
    std::string address;     // frozen: the account's address, or where to relay
    std::string detail;      // local: behind '+'
    std::string destination; // remote: domain (A-label) or address literal
    uint32_t attempts = 0;
    UtcTime next_attempt, last_attempt;
    Status status;
};

} // namespace tambo::spool

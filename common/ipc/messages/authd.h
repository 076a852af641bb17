// What smtpd, imapd, pop3d, queued and the keeper ask authd. Authority never comes from a network
// process: smtpd learns yes or no, queued alone gets targets (ARCHITECTURE.md, "Decisions").
#pragma once

#include "common/base/id.h"
#include "common/base/unique_fd.h"
#include "common/ipc/frame.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::ipc {

enum class Service : uint8_t { mx, submission, imap, pop3, local, last_ = local };

// An SMTP reply as a value: code 0 means "no objection".
struct ReplyText {
    uint16_t code = 0;
    std::string enhanced; // "5.1.1"
    std::string text;
    template <class V> void visit(V& v) { v(code, enhanced, text); }
};

// ---- limits per client address (never applied to loopback by default)

struct ConnectionVerdict {
    bool allowed = true;
    std::string reason; // for the event, and for the client
    template <class V> void visit(V& v) { v(allowed, reason); }
};

struct ConnectionOpened {
    static constexpr uint16_t kType = 0x0301;
    static constexpr Loss kLoss = Loss::fail;
    using Reply = ConnectionVerdict;
    Service service = Service::mx;
    std::string client_ip;
    template <class V> void visit(V& v) { v(service, client_ip); }
};

struct ConnectionClosed { // one-way; counts of a lost channel are dropped by authd itself
    static constexpr uint16_t kType = 0x0302;
    Service service = Service::mx;
    std::string client_ip;
    template <class V> void visit(V& v) { v(service, client_ip); }
};

// ---- SASL. RFC 4422; frames carry service, address and channel binding from the first day.

enum class SaslState : uint8_t { challenge, accepted, refused, unavailable, last_ = unavailable };

struct SaslAnswer {
    SaslState state = SaslState::unavailable;
    uint64_t exchange = 0; // for SaslContinue
    std::string data;      // challenge bytes, not base64
    std::string token;     // accepted: opaque, names the login towards queued
    std::string login;     // accepted: the account's address, for events
    // refused: "badpass", "disabled", ... for the event only. unavailable: "throttled" (the address
    // tries no more for now), "sessions" (the login has as many as it may), "busy", ...
    std::string reason;
    template <class V> void visit(V& v) { v(state, exchange, data, token, login, reason); }
};

struct SaslStart {
    static constexpr uint16_t kType = 0x0303;
    static constexpr Loss kLoss = Loss::fail;
    using Reply = SaslAnswer;
    Service service = Service::submission;
    std::string mechanism; // upper case
    bool has_initial = false;
    std::string initial; // bytes, not base64
    std::string client_ip;
    uint16_t client_port = 0;
    std::string sid;
    std::string tls;             // "TLSv1.3", empty without TLS
    std::string channel_binding; // tls-exporter bytes, empty if none
    // imapd, pop3d: one end of a SOCK_STREAM pair; when authd accepts, it passes this end and the
    // account to the keeper. A hijacked network daemon cannot claim an account this way.
    UniqueFd session;
    // What the session should begin with, e.g. the tag and capabilities that the login answer needs
    // (imapd) or nothing (pop3d).
    std::string session_hint;
    template <class V> void visit(V& v) {
        v(service, mechanism, has_initial, initial, client_ip, client_port, sid, tls,
          channel_binding, session, session_hint);
    }
};

struct SaslContinue {
    static constexpr uint16_t kType = 0x0304;
    static constexpr Loss kLoss = Loss::fail;
    using Reply = SaslAnswer;
    uint64_t exchange = 0;
    std::string data;
    template <class V> void visit(V& v) { v(exchange, data); }
};

struct SaslAbort { // one-way: the client sent "*" or left
    static constexpr uint16_t kType = 0x0305;
    uint64_t exchange = 0;
    template <class V> void visit(V& v) { v(exchange); }
};

struct SessionEnded { // one-way: the connection with this sid is over, and so is its session
    static constexpr uint16_t kType = 0x030B;
    std::string sid; // of a SaslStart; one that nobody counted does no harm
    template <class V> void visit(V& v) { v(sid); }
};

struct LocalTaken {
    template <class V> void visit(V&) {}
};

// authd -> submit, the one request in that direction: somebody of this machine, whom authd knows by
// the kernel's word, and the login that this is worth. submit never says who a local user is.
struct LocalArrival {
    static constexpr uint16_t kType = 0x0306;
    static constexpr Loss kLoss = Loss::fail;
    using Reply = LocalTaken;
    UniqueFd descriptor;   // an accepted connection, or the file
    std::string drop_name; // of a file in drop/; empty for a connection
    uint32_t uid = 0;      // SO_PEERCRED of the connection, or the owner of the file
    std::string token;
    std::string address; // default sender
    template <class V> void visit(V& v) { v(descriptor, drop_name, uid, token, address); }
};

// ---- during the SMTP session: yes or no, as the reply to give

struct CheckSender { // MAIL FROM and each author of From, on submission
    static constexpr uint16_t kType = 0x0307;
    static constexpr Loss kLoss = Loss::repeat;
    using Reply = ReplyText;
    std::string token;
    std::string address; // empty for <>
    template <class V> void visit(V& v) { v(token, address); }
};

struct CheckRecipient {
    static constexpr uint16_t kType = 0x0308;
    static constexpr Loss kLoss = Loss::repeat;
    using Reply = ReplyText;
    Service service = Service::mx;
    std::string token; // submission
    std::string reverse_path;
    std::string address; // as given: "user@domain", "postmaster", "user@[192.0.2.1]"
    uint64_t message_bytes = 0; // SIZE= of MAIL; 0: not given
    template <class V> void visit(V& v) {
        v(service, token, reverse_path, address, message_bytes);
    }
};

// ---- at completion, from queued alone

enum class TargetKind : uint8_t { local, remote, last_ = remote };

// One frozen destination of one envelope recipient (RULES.md R19).
struct Target {
    TargetKind kind = TargetKind::local;
    Id account;          // local
    std::string address; // local: the account's address; remote: where to relay
    std::string detail;  // local: what stood behind '+', a mailbox name to file into if it exists
    template <class V> void visit(V& v) { v(kind, account, address, detail); }
};

struct ResolvedRecipient {
    ReplyText refusal; // code 0: accepted
    std::vector<Target> targets;
    // Targets of an alias that lead nowhere; the postmaster is among the targets in their place.
    std::vector<std::string> missing;
    template <class V> void visit(V& v) { v(refusal, targets, missing); }
};

struct Resolution {
    ReplyText refusal; // of the whole message: not this sender, over a limit
    // In the order asked: at least one, and no more than fit. queued asks again for the rest.
    std::vector<ResolvedRecipient> recipients;
    std::string login;                         // for events; empty without login
    std::string dkim_domain;                   // to sign for; empty: do not sign
    template <class V> void visit(V& v) { v(refusal, recipients, login, dkim_domain); }
};

// At most 50 recipients a call; `first` counts the message against the login's limits.
struct Resolve {
    static constexpr uint16_t kType = 0x0309;
    static constexpr Loss kLoss = Loss::repeat;
    using Reply = Resolution;
    Service service = Service::mx; // class of the channel that master made, filled in by queued
    std::string token;
    std::string reverse_path;
    bool first = true;
    uint32_t recipients_total = 0;
    std::vector<std::string> recipients;
    template <class V> void visit(V& v) {
        v(service, token, reverse_path, first, recipients_total, recipients);
    }
};

// The postmaster's account, for bounces that cannot go anywhere else.
struct AccountFacts {
    bool known = false;
    std::string address;
    uint64_t quota_bytes = 0; // 0: none
    uint64_t quota_messages = 0;
    bool disabled = false;
    template <class V> void visit(V& v) { v(known, address, quota_bytes, quota_messages, disabled); }
};

// From the keeper, before it opens an account.
struct AskAccount {
    static constexpr uint16_t kType = 0x030A;
    static constexpr Loss kLoss = Loss::repeat;
    using Reply = AccountFacts;
    Id account;
    template <class V> void visit(V& v) { v(account); }
};

} // namespace tambo::ipc

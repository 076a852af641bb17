// The local road behind queued: queued -> deliverd (link the body), deliverd -> keeper -> account
// process (file it). Every step is idempotent by {qid, rcpt_no, action_no}.
#pragma once

#include "common/base/id.h"
#include "common/base/time.h"
#include "common/ipc/frame.h"
#include "common/ipc/messages/authd.h"

#include <cstdint>
#include <string>

namespace tambo::ipc {

enum class DeliveryOutcome : uint8_t {
    stored,    // now in the mailbox (durable with queued's next barrier)
    duplicate, // was there already: the key is known
    deferred,  // try again later
    refused,   // never: bounce
    last_ = refused
};

struct Delivered {
    DeliveryOutcome outcome = DeliveryOutcome::deferred;
    ReplyText status; // for deferred and refused: code, enhanced, text
    std::string mailbox; // stored: where it went
    uint32_t uid = 0;
    template <class V> void visit(V& v) { v(outcome, status, mailbox, uid); }
};

// What travels with a message into the account.
struct DeliveryFacts {
    Id qid;
    uint32_t rcpt_no = 0, action_no = 0; // the idempotency key
    Id account;
    std::string detail;       // behind '+': mailbox to file into if it exists
    std::string reverse_path; // for Return-Path, already in prefix
    std::string recipient;    // original envelope recipient
    std::string prefix;       // complete: Return-Path, Delivered-To, Received, ...
    uint64_t body_bytes = 0;
    uint32_t body_crc32c = 0;
    UtcTime accepted;
    UtcTime queued_since; // nothing that was accepted earlier is in the queue any more
    bool smtputf8 = false;
    template <class V> void visit(V& v) {
        v(qid, rcpt_no, action_no, account, detail, reverse_path, recipient, prefix, body_bytes,
          body_crc32c, accepted, queued_since, smtputf8);
    }
};

// queued -> deliverd
struct Deliver {
    static constexpr uint16_t kType = 0x0501;
    static constexpr Loss kLoss = Loss::repeat;
    using Reply = Delivered;
    DeliveryFacts facts;
    std::string spool_name; // "<bucket>/<qid>" below spool/bodies
    template <class V> void visit(V& v) { v(facts, spool_name); }
};

// deliverd -> keeper, and keeper -> account process. The body is linked as bodies/xx/<body>.
struct FileMessage {
    static constexpr uint16_t kType = 0x0502;
    static constexpr Loss kLoss = Loss::repeat;
    using Reply = Delivered;
    DeliveryFacts facts;
    Id body;
    template <class V> void visit(V& v) { v(facts, body); }
};

// deliverd -> keeper: makes the account's directory (and bodies/xx) on first use.
struct PrepareAccount {
    static constexpr uint16_t kType = 0x0503;
    static constexpr Loss kLoss = Loss::repeat;
    using Reply = ReplyText; // code 0: the directory is there
    Id account;
    template <class V> void visit(V& v) { v(account); }
};

} // namespace tambo::ipc

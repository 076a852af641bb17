// What smtpd asks queued: a spool file to write, an envelope to keep, a commit. The class of the
// channel (mx or submission) is known from the instance name that master wired, never from a field.
#pragma once

#include "common/base/id.h"
#include "common/base/time.h"
#include "common/base/unique_fd.h"
#include "common/ipc/frame.h"
#include "common/ipc/messages/authd.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::ipc {

struct SpoolOpened {
    ReplyText refusal; // 452 4.3.1 when the disk is below its reserve; 451 on a fault
    Id qid;
    UniqueFd body; // write-only; smtpd writes the message's bytes and closes it before Commit
    template <class V> void visit(V& v) { v(refusal, qid, body); }
};

struct OpenSpool {
    static constexpr uint16_t kType = 0x0401;
    static constexpr Loss kLoss = Loss::repeat;
    using Reply = SpoolOpened;
    uint64_t size_hint = 0; // SIZE= of MAIL, 0 if not given
    template <class V> void visit(V& v) { v(size_hint); }
};

enum class BodyType : uint8_t { sevenbit, eightbitmime, binarymime, last_ = binarymime };

// All ESMTP parameters from the first day (RULES.md K2); those not announced stay empty.
struct EnvelopeParameters {
    BodyType body = BodyType::sevenbit;
    bool smtputf8 = false;
    bool require_tls = false;
    std::string ret, envid; // RFC 3461
    int64_t hold_until_ms = 0, deliver_by_ms = 0;
    int8_t priority = 0;
    template <class V> void visit(V& v) {
        v(body, smtputf8, require_tls, ret, envid, hold_until_ms, deliver_by_ms, priority);
    }
};

// One-way, then EnvelopeRecipients until all are sent, then Commit.
struct EnvelopeStart {
    static constexpr uint16_t kType = 0x0402;
    Id qid;
    std::string sid;
    std::string token; // of the login, empty without
    std::string reverse_path;
    std::string helo, client_ip, client_name, protocol; // "ESMTPSA"
    std::string message_id, header_from;                // for events and trace
    EnvelopeParameters parameters;
    std::string prefix; // Received and what else smtpd adds on top, CRLF lines
    template <class V> void visit(V& v) {
        v(qid, sid, token, reverse_path, helo, client_ip, client_name, protocol, message_id,
          header_from, parameters, prefix);
    }
};

struct EnvelopeRecipient {
    std::string address;       // as the client gave it
    std::string notify, orcpt; // RFC 3461
    template <class V> void visit(V& v) { v(address, notify, orcpt); }
};

struct EnvelopeRecipients { // one-way, at most 50 each
    static constexpr uint16_t kType = 0x0403;
    Id qid;
    std::vector<EnvelopeRecipient> recipients;
    template <class V> void visit(V& v) { v(qid, recipients); }
};

// The reply to give to the client: 250 only after the barrier.
struct Commit {
    static constexpr uint16_t kType = 0x0404;
    static constexpr Loss kLoss = Loss::ask; // AskCommitted tells
    using Reply = ReplyText;
    Id qid;
    uint64_t length = 0;
    uint32_t crc32c = 0;
    template <class V> void visit(V& v) { v(qid, length, crc32c); }
};

struct Discard { // one-way: the transaction ended without a message
    static constexpr uint16_t kType = 0x0405;
    Id qid;
    template <class V> void visit(V& v) { v(qid); }
};

struct CommittedAnswer {
    bool accepted = false;
    template <class V> void visit(V& v) { v(accepted); }
};

struct AskCommitted {
    static constexpr uint16_t kType = 0x0406;
    static constexpr Loss kLoss = Loss::repeat;
    using Reply = CommittedAnswer;
    Id qid;
    template <class V> void visit(V& v) { v(qid); }
};

} // namespace tambo::ipc

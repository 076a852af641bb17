// What queued asks relayd: send one message to the recipients of one destination, now, and tell per
// recipient what the other side said. relayd keeps nothing.
#pragma once

#include "common/base/id.h"
#include "common/base/unique_fd.h"
#include "common/ipc/frame.h"
#include "common/ipc/messages/queued.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tambo::ipc {

enum class RelayOutcome : uint8_t { sent, deferred, refused, last_ = refused };

struct RelayResult {
    uint32_t rcpt_no = 0; // as in Relay::recipients
    RelayOutcome outcome = RelayOutcome::deferred;
    ReplyText status;       // ours, or the peer's last reply, sanitised
    bool from_peer = false; // status is the peer's own words
    template <class V> void visit(V& v) { v(rcpt_no, outcome, status, from_peer); }
};

struct RelayDone {
    std::vector<RelayResult> results; // one for each recipient
    std::string host, address, tls;   // where it ended: MX name, ip, "TLSv1.3" or ""
    template <class V> void visit(V& v) { v(results, host, address, tls); }
};

struct Relay {
    static constexpr uint16_t kType = 0x0701;
    static constexpr Loss kLoss = Loss::fail; // counted as deferred: the documented window
    using Reply = RelayDone;
    Id qid;
    std::string sid;
    std::string destination; // domain (A-label) or address literal "[192.0.2.1]"
    std::string reverse_path;
    EnvelopeParameters parameters;
    std::vector<std::pair<uint32_t, std::string>> recipients; // {rcpt_no, address}, at most 50
    std::string prefix; // without Return-Path and Delivered-To
    UniqueFd body;      // read-only
    uint64_t body_bytes = 0;
    uint32_t attempt = 0;
    template <class V> void visit(V& v) {
        v(qid, sid, destination, reverse_path, parameters, recipients, prefix, body, body_bytes,
          attempt);
    }
};

} // namespace tambo::ipc

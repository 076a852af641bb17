// What became of a recipient, or of an attempt: the words that queued records and a bounce quotes.
#pragma once

#include "common/ipc/messages/relayd.h"
#include "common/smtp/client_reply.h"

#include <string>
#include <string_view>
#include <vector>

namespace tambo::relayd {

// 2xx, RFC 5321 4.2.1.
inline bool accepts(const smtp::ServerReply& reply) { return reply.code / 100 == 2; }

struct Verdict {
    ipc::ReplyText status;
    bool permanent = false; // trying again is useless
    bool from_peer = false; // the status is the other server's own

    // Ours: permanent by its code. RFC 3463.
    static Verdict ours(uint16_t code, std::string_view enhanced, std::string_view text);
    // The other server's refusal. Without an enhanced code of its own it gets X.0.0. A positive
    // reply where none fits becomes our own 451 4.5.0.
    static Verdict of(const smtp::ServerReply& reply);
};

// One result for each recipient of a job; each is settled once.
class Results {
  public:
    explicit Results(const ipc::Relay& job);

    size_t size() const { return results_.size(); }
    bool settled(size_t index) const { return settled_[index]; }
    bool all_settled() const;

    // Final for this try.
    void settle_sent(size_t index, const smtp::ServerReply& reply);
    void settle_failed(size_t index, const Verdict& verdict);
    void settle_open(const Verdict& verdict); // all that are not settled yet
    const std::vector<ipc::RelayResult>& list() const { return results_; }

  private:
    std::vector<ipc::RelayResult> results_;
    std::vector<bool> settled_;
};

} // namespace tambo::relayd

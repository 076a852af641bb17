// What all parts of queued share: the spool, the committer, the configuration, the source of queue
// ids and the time that the queue has been running.
#pragma once

#include "common/conf/queued_config.h"
#include "common/ipc/messages/authd.h"
#include "common/ipc/messages/queued.h"
#include "common/spool/directory.h"
#include "common/spool/queue_db.h"
#include "common/sys/clock.h"
#include "queued/committer.h"
#include "queued/retry.h"

#include <deque>
#include <optional>
#include <unordered_set>
#include <vector>

namespace tambo::queued {

class Queue {
  public:
    struct Parts {
        Nursery& nursery;
        Clock& clock;
        Random& random;
        spool::Directory& spool;
        spool::QueueDb& db;
        Committer& committer;
    };
    // epoch: durable, and higher than that of every process before (recover.h).
    Queue(Parts parts, conf::QueuedConfig config, uint32_t epoch);

    Nursery& nursery;
    Clock& clock;
    Random& random;
    spool::Directory& spool;
    spool::QueueDb& db;
    Committer& committer;

    const conf::QueuedConfig& config() const { return config_; }
    RetryRules rules() const { return RetryRules::of(config_); }
    void configure(conf::QueuedConfig config) { config_ = std::move(config); }

    // Never the same twice, whatever crashes and clocks do (RULES.md R21).
    Id next_id();

    // How long the queue has run in all its processes; persisted by save_uptime().
    int64_t uptime_ms();
    void save_uptime();

    // Why no message can be taken now; code 0: it can. 452 4.3.1 below the disk reserve.
    ipc::ReplyText refusal(uint64_t size_hint);
    void set_read_only(bool read_only) { read_only_ = read_only; }
    void start_draining() { draining_ = true; }
    // No delivery may begin: its outcome could not be recorded.
    bool paused() const { return read_only_ || draining_ || committer.failed(); }

    // Messages that are durable, though they may have left the queue since: smtpd may still ask.
    void remember(const Id& qid);
    bool was_committed(const Id& qid);

    // Unlinks the body of a message that has left the queue. Only after the barrier that covered
    // its last row (RULES.md R8); throws std::system_error.
    void remove_body(const Id& qid) { spool.remove(qid); }

  private:
    conf::QueuedConfig config_;
    uint32_t epoch_, counter_ = 0;
    int64_t uptime_before_ms_, started_ms_;
    bool read_only_ = false, draining_ = false;
    std::deque<Id> remembered_;
    std::unordered_set<Id, IdHash> remembered_set_;
};

// The domain of a remote address as destinations are grouped: A-labels, lower case, or an address
// literal. Empty if it is no mailbox.
std::string destination_of(const std::string& address);

// One row for each frozen target of an envelope recipient, due at once.
std::vector<spool::Recipient> recipients_of(uint32_t rcpt_no,
                                            const ipc::EnvelopeRecipient& given,
                                            const std::vector<ipc::Target>& targets,
                                            UtcTime now);

} // namespace tambo::queued

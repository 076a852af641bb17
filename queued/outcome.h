// What becomes of a delivery: how each result is recorded, and the events that say so.
//
// A local delivery is durable with the barrier that begins after it was reported; only then may its
// row go, and only after the row's own barrier the body (RULES.md R8). Until then a
// crash offers it again, and its key makes it known. What a remote host has taken is recorded at
// once (RULES.md R27).
#pragma once

#include "common/ipc/messages/delivery.h"
#include "common/sys/log.h"
#include "queued/queue.h"
#include "queued/schedule.h"

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace tambo::queued {

using EnvelopePtr = std::shared_ptr<const spool::Envelope>;

class Reports;

class Outcomes {
  public:
    Outcomes(Queue& queue, Reports& reports) : queue_(queue), reports_(reports) {}

    // Jobs carry the recipient as it was before the attempt.
    void stored(const Job& job, const ipc::Delivered& delivered);
    void sent(const Job& job, const spool::Status& status, const std::string& tls);
    // Tried again later, or given up when its time is over.
    void deferred(const EnvelopePtr& envelope, Job job, const spool::Status& status);
    // The same without a try of its own: its destination rests until then.
    void deferred_with_destination(const EnvelopePtr& envelope,
                                   Job job,
                                   const spool::Status& status,
                                   UtcTime until);
    // Never: the sender is told. All of one message.
    void failed(const EnvelopePtr& envelope, std::vector<Job> jobs);
    // As if it had not been tried: something of our own is missing now.
    void postpone(std::vector<Job> jobs);
    // The body has gone: nothing can be delivered any more. Kept for the administrator.
    void lost(const Job& job);

    // The deliveries are over: their rows go, and with the message's last one the body.
    Change finish(const Id& qid, std::vector<spool::RecipientKey> keys);

    // Whether it is over, and only the disk is waited for: its row is still in queue.db.
    bool is_over(const spool::RecipientKey& key) const { return over_.contains(key); }

    // The outcome stands in queue.db; `again`: when it is due next, absent if it is over.
    std::function<void(const spool::RecipientKey& key, std::optional<UtcTime> again)> on_recorded;

  private:
    void record_deferral(Job job, UtcTime next);
    bool expired(const spool::Envelope& envelope, const spool::Recipient& recipient);

    Queue& queue_;
    Reports& reports_;
    std::set<spool::RecipientKey> over_;
};

// "relay=mx.example code=451 ..." on an event.
void add_status(log::Event& event, const spool::Status& status);

} // namespace tambo::queued

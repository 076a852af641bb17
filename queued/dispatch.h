// Takes messages from the queue and gives them to deliverd and relayd: the schedule decides which,
// Outcomes records what came of it. Messages that were just accepted come from memory, all others
// from queue.db when they are due and there is room.
#pragma once

#include "common/ipc/channel.h"
#include "common/ipc/messages/relayd.h"
#include "queued/outcome.h"
#include "queued/queue.h"
#include "queued/schedule.h"

#include <memory>
#include <string>
#include <vector>

namespace tambo::queued {

class Dispatcher {
  public:
    Dispatcher(Queue& queue, Outcomes& outcomes, ipc::Channel& deliverd);

    // Loads due messages until the nursery is cancelled; spawn it there once.
    task<> run();
    // A message that is durable now.
    void take(Acceptance& acceptance);
    // A relayd process; both stay until the nursery has emptied, or until remove_relay().
    void add_relay(ipc::Channel& channel);
    void remove_relay(ipc::Channel& channel);
    // Capacity or configuration changed.
    void refresh();
    // The administrator changed queue.db: due ones may be due earlier now.
    void look_again();
    // Waiting deliveries of a message are taken out of memory (held or dropped).
    void withdraw(int64_t seq) { schedule_.remove(seq); }

    Schedule& schedule() { return schedule_; }
    const Outcomes& outcomes() const { return outcomes_; }

  private:
    struct Relay {
        ipc::Channel* channel = nullptr;
        size_t running = 0;
    };

    void pump();
    void add(Job job, bool fresh);
    void defer_suspended(Job job, int64_t until_ms);
    bool load();
    void fail_refused(std::vector<Job> jobs);
    int64_t wait_ms();
    void watch_clock();
    void due_again(UtcTime time);

    EnvelopePtr envelope_of(const Job& job);
    // nullopt: it has gone, or cannot be opened now; then trouble says why.
    std::optional<UniqueFd> open_body(const Id& qid, spool::Status& trouble);
    task<> deliver(Errand errand);
    ipc::Deliver delivery(const Job& job, const spool::Envelope& envelope);
    UtcTime queued_since();
    task<> relay(Errand errand, std::shared_ptr<Relay> to);
    void finish_local(const EnvelopePtr& envelope, Job& job, const ipc::Delivered& delivered);
    Schedule::Answer
    finish_remote(const EnvelopePtr& envelope, Errand& errand, const ipc::RelayDone& done);
    void end(const Errand& errand, Schedule::Answer answer, const spool::Status& status);
    std::shared_ptr<Relay> least_busy_relay();

    Queue& queue_;
    Outcomes& outcomes_;
    ipc::Channel& deliverd_;
    Schedule schedule_;
    std::vector<std::shared_ptr<Relay>> relays_;
    Gate wake_;
    spool::DueCursor cursor_;
    UtcTime queued_since_{0};
    int64_t queued_since_asked_ms_ = INT64_MIN / 2;
    UtcTime last_seen_; // wall clock, to notice that it was set back
    bool pumping_ = false;
    UtcTime planned_{INT64_MAX}; // when run() looks next
    bool starved_ = false;       // due rows may wait for room
};

// What stands in front of the body in an account: RFC 5321 4.4 (Return-Path), Delivered-To, the
// prefix of the envelope.
std::string local_prefix(const spool::Envelope& envelope, const spool::Recipient& recipient);

} // namespace tambo::queued

// Brings reports under way: who is to be told, the report as a message of its own in the queue, in
// the same transaction that ends the deliveries it tells of, and under a key of its own, so that a
// crash neither loses nor doubles it (RULES.md R20).
//
// A null sender is never told anything. A report that cannot be delivered goes to the postmaster
// once, as the last attempt.
#pragma once

#include "common/ipc/channel.h"
#include "queued/outcome.h"

#include <set>
#include <string>
#include <vector>

namespace tambo::queued {

class Reports {
  public:
    Reports(Queue& queue, ipc::Channel& authd) : queue_(queue), authd_(authd) {}
    void set_outcomes(Outcomes& outcomes) { outcomes_ = &outcomes; }

    // The deliveries of these jobs, all of one message, are over. Jobs carry their last status.
    void report_failure(const EnvelopePtr& envelope, std::vector<Job> jobs);
    // After a failed attempt: tells our own users, once, when the time has come.
    void consider_delay_notice(const EnvelopePtr& envelope);
    // Reports that are being made.
    size_t under_way() const { return under_way_; }

  private:
    struct Resolved {
        std::vector<ipc::Target> targets; // none: nobody is there
        std::string dkim_domain;
        bool local() const;
    };
    struct Draft {
        spool::Report kind = spool::Report::failure;
        std::string key, to;
        std::vector<spool::Recipient> about;
        Resolved resolved;
    };

    task<> failure(EnvelopePtr envelope, std::vector<Job> jobs);
    task<> notice(EnvelopePtr envelope);
    task<Resolved> resolve(std::string address);
    // nullptr when the body cannot be written now.
    std::shared_ptr<Acceptance> write(const spool::Envelope& about, Draft draft);
    std::shared_ptr<Acceptance> make_message(const spool::Envelope& about, const Draft& draft);
    // Lets a change insert the report too, and sends it on its way afterwards. The event names the
    // message that it is about, whose trace so goes on with the report's own road.
    void add_to(Change& change, const std::shared_ptr<Acceptance>& report, const Id& about);
    void say_dropped(const spool::Envelope& envelope,
                     const std::vector<Job>& jobs,
                     std::string_view why);

    Queue& queue_;
    ipc::Channel& authd_;
    Outcomes* outcomes_ = nullptr;
    std::set<int64_t> noticing_; // seq of messages whose notice is being made
    size_t under_way_ = 0;
};

} // namespace tambo::queued

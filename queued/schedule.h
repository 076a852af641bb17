// Which delivery goes next. Pure: no clock, no disk, no channel; time is given.
//
// Deliveries that are due wait in lanes: one for each destination of remote mail, one for each
// account of local mail. Lanes take turns, and within a lane messages do, so that neither a big
// list nor a slow server holds up others. How many transactions a destination gets at a time
// follows its answers (RULES.md L3); one that cannot be reached is left alone for a while,
// and the mail that waits for it with it.
//
// The window bounds memory: what does not fit stays in queue.db until there is room.
#pragma once

#include "common/spool/envelope.h"
#include "queued/retry.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tambo::queued {

struct Job {
    spool::RecipientKey key;
    Id qid;
    spool::Recipient recipient;
    std::shared_ptr<const spool::Envelope> envelope; // null: not loaded yet
};

// Jobs that go together: one of an account, or up to 50 of one message for one destination.
struct Errand {
    std::string lane;
    spool::Kind kind = spool::Kind::local;
    std::vector<Job> jobs;
};

class Schedule {
  public:
    static constexpr size_t kWindow = 20'000;      // jobs loaded from queue.db
    static constexpr size_t kWindowFresh = 40'000; // with those just accepted
    static constexpr size_t kLocalMax = 256, kPerAccountMax = 16;
    static constexpr size_t kInitialPerDestination = 5;
    static constexpr size_t kErrandBytesMax = 32 * 1024; // of addresses, to fit into a datagram

    enum class Added {
        waits,
        known, // it waits, runs, or its outcome is being recorded
        full,  // the window is; it is due in queue.db
        // Its destination is: to be deferred until suspended_until(), and known until that is
        // recorded. Else it would be given out, and then the record would make it due again.
        suspended,
    };
    enum class Answer {
        good,        // the destination works, whatever it said of the recipients
        throttled,   // it wants less
        unreachable, // it did not come to an answer of the other side
        lost,        // our own process was lost: says nothing
    };

    explicit Schedule(RetryRules rules) : rules_(rules) {}

    void set_rules(const RetryRules& rules) { rules_ = rules; }
    // Transactions of all destinations together: what the relayd processes can take.
    void set_remote_max(size_t count) { remote_max_ = count; }

    // The job is moved from only if it waits now.
    Added add(Job& job, bool fresh, int64_t now_ms);
    bool knows(const spool::RecipientKey& key) const { return active_.contains(key); }
    size_t room() const { return active_.size() < kWindow ? kWindow - active_.size() : 0; }
    size_t active() const { return active_.size(); }
    size_t running() const { return local_running_ + remote_running_; }

    // The next errand that may start now.
    std::optional<Errand> next(int64_t now_ms);
    // It has ended. Returns jobs that waited for a destination which is suspended by this: they
    // are no longer in a lane, but known until forget().
    std::vector<Job> finished(const Errand& errand, Answer answer, int64_t now_ms);
    // Its outcome stands in queue.db: the job may come again from there.
    void forget(const spool::RecipientKey& key) { active_.erase(key); }
    // Takes waiting jobs of a message out and forgets them; those that run end as usual.
    void remove(int64_t seq);

    std::optional<int64_t> suspended_until(const std::string& destination, int64_t now_ms) const;
    void lift_suspensions();
    // Forgets lanes in which nothing happens any more.
    void tidy(int64_t now_ms);
    size_t lanes() const { return lanes_.size(); }
    size_t suspended(int64_t now_ms) const;

  private:
    struct Group { // jobs of one message
        int64_t seq = 0;
        std::deque<Job> jobs;
    };
    struct Lane {
        std::string name;
        spool::Kind kind = spool::Kind::local;
        std::deque<Group> groups;
        size_t running = 0;
        double allowance = kInitialPerDestination;
        uint32_t suspensions = 0; // in a row
        int64_t suspended_until_ms = 0;
        bool in_ring = false;
    };

    static std::string lane_name(const spool::Recipient& recipient);
    bool may_start(const Lane& lane, int64_t now_ms) const;
    void enter_ring(Lane& lane, int64_t now_ms);
    std::optional<Errand> next_of(std::deque<Lane*>& ring, int64_t now_ms);
    static void take_jobs(Lane& lane, Errand& errand);
    std::vector<Job> suspend(Lane& lane, int64_t now_ms);

    RetryRules rules_;
    size_t remote_max_ = 0;
    std::map<std::string, Lane> lanes_; // Lane addresses are stable
    std::deque<Lane*> local_ring_, remote_ring_;
    std::set<spool::RecipientKey> active_;
    size_t local_running_ = 0, remote_running_ = 0;
};

} // namespace tambo::queued

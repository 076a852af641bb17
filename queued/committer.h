// Group commit: one transaction of queue.db for everything that came up since the last one, then
// one barrier, then all answers.
//
//   acceptances   wait for the barrier; then smtpd says 250
//   changes       outcomes of deliveries, reports, orders of the administrator; they ride along
//
// A batch closes at once when nobody else is about to join, else with as many acceptances as were
// seen together lately, at the latest after limits::batch_wait_ms or with
// limits::batch_messages_max. After a failed sync nothing is ever acknowledged or removed again
// (RULES.md R2, R3, R6, R8).
#pragma once

#include "common/base/time.h"
#include "common/base/unique_fd.h"
#include "common/event/gate.h"
#include "common/spool/queue_db.h"
#include "queued/syncer.h"

#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace tambo::queued {

struct Acceptance {
    spool::Envelope envelope; // seq is given by the committer
    std::vector<spool::Recipient> recipients;
    UniqueFd body;                         // read-only, open since before the first write
    std::shared_ptr<const bool> abandoned; // may be null; *true: nobody waits, leave it out
};

enum class Accepted { durable, disk_full, failed };

struct Change {
    // Writes to the database; run again if the batch was rolled back. May be empty: just a barrier.
    std::function<void(spool::QueueDb&)> apply;
    // After the barrier. May be empty.
    std::function<void()> durable;
    std::shared_ptr<UniqueFd> body; // a new body that belongs to it
    // Needs a barrier that covers what other processes wrote.
    bool filesystem = false;
};

// When a change must be on its way if nothing else happens.
enum class Urgency { now, soon, lazy };

class Committer {
  public:
    static constexpr int64_t kSoonMs = 10; // RULES.md R27
    static constexpr int64_t kLazyMs = 1000;

    Committer(Nursery& nursery, spool::QueueDb& db, Syncer& syncer, Clock& clock);

    // Runs until the nursery is cancelled; spawn it there once.
    task<> run();
    // The same for barriers beside, while files are synced one by one.
    task<> run_beside();

    // Suspends until the barrier after its transaction.
    task<Accepted> accept(Acceptance acceptance);
    // Changes are applied in the order in which they were recorded. Never suspends.
    void record(Change change, Urgency urgency);

    // Everything that waits goes on its way now (a drain); later changes too.
    void hurry();
    // Nothing waits and nothing is under way.
    bool idle() const;
    bool failed() const { return failed_; }
    int64_t last_seq() const { return next_seq_ - 1; }
    // For a message that is inserted by a change: only within its apply.
    int64_t take_seq() { return next_seq_++; }
    // A seq of which this and all before are known to be durable: what recovery need not look at.
    void set_durable_seq(int64_t seq) { durable_seq_ = seq; }
    uint64_t batches() const { return batches_; }

    // Somebody else found that the storage is not to be trusted: the same as a failed barrier.
    void fail_storage(const std::string& why);

    // A message is durable and may be delivered.
    std::function<void(Acceptance&)> on_accepted;
    // The storage is no longer to be trusted. Called once.
    std::function<void(const std::string& why)> on_fault;

  private:
    struct Batch {
        explicit Batch(Nursery& nursery) : done(nursery) {}
        std::deque<Acceptance> acceptances;
        std::vector<Change> changes;
        int64_t first_acceptance_ms = 0, changes_due_ms = INT64_MAX;
        int64_t last_seq = 0; // 0: no message was inserted
        Accepted outcome = Accepted::failed;
        Gate done;
    };

    int64_t wait_ms() const;
    bool write(Batch& batch);
    void write_all(Batch& batch);
    void refuse_acceptances(Batch& batch);
    void put_back(Batch& batch);
    task<> make_durable(Batch& batch);
    void complete(Batch& batch);
    void run_durable(std::vector<Change>& changes);
    void fail(Batch& batch, const std::string& why);
    void after_barrier();

    Nursery& nursery_;
    spool::QueueDb& db_;
    Syncer& syncer_;
    Clock& clock_;
    Gate wake_, wake_beside_;
    std::shared_ptr<Batch> open_;
    std::vector<Change> beside_;  // wait for a barrier of the whole filesystem
    std::deque<size_t> together_; // acceptances outstanding at once, of the last batches
    size_t expected_ = 1;
    int64_t next_seq_;
    int64_t durable_seq_ = 0;
    uint64_t batches_ = 0;
    bool under_way_ = false, beside_under_way_ = false;
    bool hurry_ = false, failed_ = false;
};

} // namespace tambo::queued

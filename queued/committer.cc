#include "queued/committer.h"

#include "common/base/limits.h"
#include "common/sys/log.h"

#include <algorithm>
#include <system_error>

namespace tambo::queued {

namespace {

constexpr size_t kBatchesRemembered = 8;
constexpr int64_t kWalPagesMax = 2048; // 8 MiB, then the log is copied into the file

} // namespace

Committer::Committer(Nursery& nursery, spool::QueueDb& db, Syncer& syncer, Clock& clock)
    : nursery_(nursery), db_(db), syncer_(syncer), clock_(clock), wake_(nursery),
      wake_beside_(nursery), open_(std::make_shared<Batch>(nursery)),
      next_seq_(std::max(db.last_seq(), db.number("durable")) + 1) {}

task<Accepted> Committer::accept(Acceptance acceptance) {
    if (failed_) co_return Accepted::failed;
    const std::shared_ptr<Batch> batch = open_;
    auto& waiting = batch->acceptances;
    if (waiting.empty()) batch->first_acceptance_ms = clock_.monotonic_ms();
    waiting.push_back(std::move(acceptance));
    if (waiting.size() == 1 || waiting.size() >= expected_) wake_.pulse();
    co_await batch->done.wait();
    co_return batch->outcome;
}

void Committer::record(Change change, Urgency urgency) {
    if (failed_) return;
    if (change.filesystem && !change.apply && !syncer_.covers_filesystem()) {
        beside_.push_back(std::move(change));
        wake_beside_.pulse();
        return;
    }
    const int64_t wait = urgency == Urgency::now ? 0 : urgency == Urgency::soon ? kSoonMs : kLazyMs;
    const int64_t due = clock_.monotonic_ms() + wait;
    open_->changes.push_back(std::move(change));
    if (due >= open_->changes_due_ms) return;
    open_->changes_due_ms = due;
    wake_.pulse();
}

void Committer::hurry() {
    hurry_ = true;
    wake_.pulse();
    wake_beside_.pulse();
}

bool Committer::idle() const {
    const bool waits = !open_->acceptances.empty() || !open_->changes.empty() || !beside_.empty();
    return !waits && !under_way_ && !beside_under_way_;
}

// 0: close the batch now; -1: there is nothing to do.
int64_t Committer::wait_ms() const {
    const Batch& batch = *open_;
    if (failed_ || (batch.acceptances.empty() && batch.changes.empty())) return -1;
    if (hurry_ || batch.acceptances.size() >= expected_) return 0;
    int64_t due = batch.changes.empty() ? INT64_MAX : batch.changes_due_ms;
    if (!batch.acceptances.empty()) {
        due = std::min(due, batch.first_acceptance_ms + limits::batch_wait_ms);
    }
    return std::max<int64_t>(due - clock_.monotonic_ms(), 0);
}

task<> Committer::run() {
    for (;;) {
        const int64_t wait = wait_ms();
        if (wait != 0) {
            const int64_t timeout_ms = std::max<int64_t>(wait, 0);
            co_await wake_.wait(timeout_ms);
            continue;
        }
        const std::shared_ptr<Batch> batch =
            std::exchange(open_, std::make_shared<Batch>(nursery_));
        under_way_ = true;
        std::erase_if(batch->acceptances,
                      [](const Acceptance& a) { return a.abandoned && *a.abandoned; });
        if (write(*batch)) {
            co_await make_durable(*batch);
        }
        under_way_ = false;
    }
}

bool Committer::write(Batch& batch) {
    try {
        write_all(batch);
        return true;
    } catch (const db::DbError& error) {
        if (error.kind() != db::DbError::Kind::full) {
            fail(batch, error.what());
            return false;
        }
        log::Event("queue.disk_full", log::Level::error).with("what", error.what());
    }
    refuse_acceptances(batch);
    put_back(batch);
    return false;
}

void Committer::write_all(Batch& batch) {
    const bool anything =
        !batch.acceptances.empty() ||
        std::any_of(batch.changes.begin(), batch.changes.end(),
                    [](const Change& change) { return static_cast<bool>(change.apply); });
    if (!anything) return;
    const int64_t seq_before = next_seq_;
    spool::QueueDb::Batch transaction(db_);
    for (Acceptance& acceptance : batch.acceptances) {
        acceptance.envelope.seq = take_seq();
        db_.insert(acceptance.envelope, acceptance.recipients);
    }
    for (Change& change : batch.changes) {
        if (change.apply) change.apply(db_);
    }
    if (next_seq_ != seq_before) db_.set_number("durable", durable_seq_);
    transaction.commit();
    if (next_seq_ != seq_before) batch.last_seq = next_seq_ - 1;
}

void Committer::refuse_acceptances(Batch& batch) {
    batch.outcome = Accepted::disk_full;
    batch.done.open();
}

// What was delivered stays in the queue until there is space to record it: at worst it is offered
// again, and its key makes it known.
void Committer::put_back(Batch& batch) {
    if (batch.changes.empty()) return;
    auto& changes = open_->changes;
    changes.insert(changes.begin(), std::make_move_iterator(batch.changes.begin()),
                   std::make_move_iterator(batch.changes.end()));
    open_->changes_due_ms = clock_.monotonic_ms() + kLazyMs;
}

task<> Committer::make_durable(Batch& batch) {
    std::vector<int> bodies;
    for (const Acceptance& acceptance : batch.acceptances)
        bodies.push_back(acceptance.body.get());
    for (const Change& change : batch.changes) {
        if (change.body) bodies.push_back(change.body->get());
    }
    bool covers_filesystem = false;
    std::string fault;
    try {
        covers_filesystem = co_await syncer_.barrier(std::move(bodies));
    } catch (const std::system_error& error) {
        fault = error.what();
    }
    if (!fault.empty() || failed_) {
        fail(batch, fault);
        co_return;
    }
    if (!covers_filesystem) {
        for (Change& change : batch.changes) {
            if (change.filesystem) beside_.push_back(std::exchange(change, Change{}));
        }
        if (!beside_.empty()) wake_beside_.pulse();
    }
    complete(batch);
}

void Committer::complete(Batch& batch) {
    ++batches_;
    if (batch.last_seq > 0) durable_seq_ = batch.last_seq;
    if (!batch.acceptances.empty()) {
        together_.push_back(batch.acceptances.size() + open_->acceptances.size());
        if (together_.size() > kBatchesRemembered) together_.pop_front();
        expected_ = std::min(*std::max_element(together_.begin(), together_.end()),
                             limits::batch_messages_max);
    }
    batch.outcome = Accepted::durable;
    batch.done.open();
    for (Acceptance& acceptance : batch.acceptances) {
        if (on_accepted) on_accepted(acceptance);
    }
    run_durable(batch.changes);
    after_barrier();
}

// What follows a barrier is removing of spool files; if that fails the disk does.
void Committer::run_durable(std::vector<Change>& changes) {
    try {
        for (Change& change : changes) {
            if (change.durable) change.durable();
        }
    } catch (const std::system_error& error) {
        fail_storage(error.what());
    }
}

void Committer::fail_storage(const std::string& why) {
    Batch none(nursery_);
    fail(none, why);
}

// Right behind a barrier the pages of the log are clean, so this costs little.
void Committer::after_barrier() {
    if (db_.database().wal_pages() <= kWalPagesMax) return;
    try {
        db_.database().checkpoint();
    } catch (const db::DbError& error) {
        if (error.kind() == db::DbError::Kind::full) return; // the log just grows on
        fail_storage(error.what());
    }
}

void Committer::fail(Batch& batch, const std::string& why) {
    const bool first = !std::exchange(failed_, true);
    // The clients are told 451 and will come again: what of them has reached the disk must not.
    // This may fail like everything else now.
    try {
        spool::QueueDb::Batch transaction(db_);
        for (const Acceptance& acceptance : batch.acceptances) {
            db_.remove(acceptance.envelope.seq);
        }
        transaction.commit();
    } catch (const db::DbError&) {
        log::Event("queue.unacknowledged_kept", log::Level::error);
    }
    batch.outcome = Accepted::failed;
    batch.done.open();
    open_->done.open();
    if (first && on_fault) on_fault(why);
}

task<> Committer::run_beside() {
    for (;;) {
        if (beside_.empty()) {
            co_await wake_beside_.wait();
            continue;
        }
        const int64_t due = clock_.monotonic_ms() + kLazyMs;
        // One look at the clock for each wait: a wait of 0 ms would have no end.
        for (int64_t left_ms = kLazyMs; !hurry_ && left_ms > 0;) {
            co_await wake_beside_.wait(left_ms);
            left_ms = due - clock_.monotonic_ms();
        }
        std::vector<Change> taken;
        taken.swap(beside_);
        beside_under_way_ = true;
        std::string fault;
        try {
            co_await syncer_.filesystem_barrier();
        } catch (const std::system_error& error) {
            fault = error.what();
        }
        beside_under_way_ = false;
        if (!fault.empty() || failed_) {
            fail_storage(fault);
            co_return;
        }
        run_durable(taken);
    }
}

} // namespace tambo::queued

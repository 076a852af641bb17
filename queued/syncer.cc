#include "queued/syncer.h"

#include "common/sys/log.h"

#include <algorithm>

namespace tambo::queued {

void BarrierChoice::add(int64_t duration_ms) {
    durations_[next_] = duration_ms;
    next_ = (next_ + 1) % kSamplesMax;
    count_ = std::min(count_ + 1, kSamplesMax);
    if (count_ < kSamplesMin) return;
    const int64_t p99 = p99_ms();
    if (by_files_ ? p99 >= kFastMs : p99 <= kSlowMs) return;
    by_files_ = !by_files_;
    count_ = next_ = 0;
    log::Event("queue.barrier", log::Level::notice)
        .with("kind", by_files_ ? "files" : "filesystem")
        .with("syncfs_p99_ms", p99);
}

int64_t BarrierChoice::p99_ms() const {
    if (count_ == 0) return 0;
    std::array<int64_t, kSamplesMax> sorted = durations_;
    const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(count_);
    std::sort(sorted.begin(), end);
    return sorted[(count_ - 1) * 99 / 100];
}

// Two threads: a slow syncfs beside must not hold up the sync of a batch's files.
Syncer::Syncer(Loop& loop, Disk& disk, Clock& clock)
    : disk_(disk), clock_(clock), workers_(loop, 2) {}

task<> Syncer::barrier(std::vector<int> bodies) {
    if (covers_filesystem()) {
        co_await filesystem_barrier();
        co_return;
    }
    ++file_barriers_;
    const auto work = [this, &bodies] {
        disk_.sync_files(bodies);
        return true;
    };
    co_await workers_.run(work);
}

task<> Syncer::filesystem_barrier() {
    ++filesystem_barriers_;
    // Timed on the thread: waiting for it, and for this loop's attention, is not the disk's doing.
    const auto work = [this] {
        const int64_t begin = clock_.monotonic_ms();
        disk_.sync_filesystem();
        return clock_.monotonic_ms() - begin;
    };
    const int64_t duration_ms = co_await workers_.run(work);
    choice_.add(duration_ms);
}

} // namespace tambo::queued

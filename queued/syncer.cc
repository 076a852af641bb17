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
    median_ms_ = sorted_at(50);
    if (by_files_ ? p99 >= kFastMs : p99 <= kSlowMs) return;
    by_files_ = !by_files_;
    count_ = next_ = 0;
    log::Event("queue.barrier", log::Level::notice)
        .with("kind", by_files_ ? "files" : "filesystem")
        .with("syncfs_p99_ms", p99);
}

void BarrierChoice::add_files(size_t files, int64_t duration_ms) {
    const int64_t each_us = duration_ms * 1000 / static_cast<int64_t>(std::max<size_t>(files, 1));
    file_us_ = file_us_ == 0 ? each_us : (7 * file_us_ + each_us) / 8;
}

bool BarrierChoice::by_files(size_t files) const {
    return by_files_ && static_cast<int64_t>(files) * file_us_ <= median_ms_ * 1000;
}

int64_t BarrierChoice::p99_ms() const {
    return sorted_at(99);
}

int64_t BarrierChoice::sorted_at(size_t percent) const {
    if (count_ == 0) return 0;
    std::array<int64_t, kSamplesMax> sorted = durations_;
    const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(count_);
    std::sort(sorted.begin(), end);
    return sorted[(count_ - 1) * percent / 100];
}

// Two threads: a slow syncfs beside must not hold up the sync of a batch's files.
Syncer::Syncer(Loop& loop, Disk& disk, Clock& clock)
    : disk_(disk), clock_(clock), workers_(loop, 2) {}

task<bool> Syncer::barrier(std::vector<int> bodies) {
    const size_t files = bodies.size() + 1; // and the log
    if (!choice_.by_files(files)) {
        co_await filesystem_barrier();
        co_return true;
    }
    ++file_barriers_;
    const auto work = [this, &bodies] {
        const int64_t begin = clock_.monotonic_ms();
        disk_.sync_files(bodies);
        return clock_.monotonic_ms() - begin;
    };
    const int64_t duration_ms = co_await workers_.run(work);
    choice_.add_files(files, duration_ms);
    co_return false;
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

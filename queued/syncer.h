// Barriers, on threads of their own: the only places of queued that wait for the disk.
//
// A barrier makes durable what was written before it began. The cheap one is syncfs, which pays for
// envelopes, bodies and the deliveries of all accounts at once. Where other writers make it slow it
// is replaced by fsync of just the files of a batch, if that is less work for this batch;
// deliveries then wait for a syncfs that runs beside (RULES.md R6, R7).
#pragma once

#include "common/base/time.h"
#include "common/event/nursery.h"
#include "common/event/workers.h"
#include "queued/disk.h"

#include <array>
#include <cstdint>
#include <vector>

namespace tambo::queued {

// Chooses the kind of barrier from how long both kinds took. Pure.
class BarrierChoice {
  public:
    static constexpr int64_t kSlowMs = 50; // p99 of syncfs: above, files are synced one by one
    static constexpr int64_t kFastMs = 25; // below, syncfs is used again
    static constexpr size_t kSamplesMin = 32, kSamplesMax = 128;

    void add(int64_t duration_ms); // of a syncfs
    // So many files synced one by one took so long in all.
    void add_files(size_t files, int64_t duration_ms);
    // syncfs is slow.
    bool by_files() const { return by_files_; }
    // And syncing so many files takes no longer.
    bool by_files(size_t files) const;
    // Of the last kSamplesMax durations; 0 without any.
    int64_t p99_ms() const;

  private:
    int64_t sorted_at(size_t percent) const;

    std::array<int64_t, kSamplesMax> durations_{};
    size_t count_ = 0, next_ = 0;
    bool by_files_ = false;
    int64_t median_ms_ = 0; // of a syncfs, when it was found to be slow or since then
    int64_t file_us_ = 0;   // of a file, a moving average
};

class Syncer {
  public:
    // The nursery must be empty before the syncer goes.
    Syncer(Loop& loop, Disk& disk, Clock& clock);

    // Bodies fit for acceptances: syncfs, or, where that is quicker, fsync of the bodies
    // and the log. Returns whether it was syncfs, which covers everything. Throws
    // std::system_error. bodies stay open until it returns.
    task<bool> barrier(std::vector<int> bodies);
    // syncfs in any case: also covers what other processes wrote.
    task<> filesystem_barrier();

    // Whether barrier() always covers everything.
    bool covers_filesystem() const { return !choice_.by_files(); }
    int64_t p99_ms() const { return choice_.p99_ms(); }
    uint64_t filesystem_barriers() const { return filesystem_barriers_; }
    uint64_t file_barriers() const { return file_barriers_; }

  private:
    Disk& disk_;
    Clock& clock_;
    Workers workers_;
    BarrierChoice choice_;
    uint64_t filesystem_barriers_ = 0, file_barriers_ = 0;
};

} // namespace tambo::queued

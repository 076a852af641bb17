// A loop that a test runs until something holds, and a disk that counts, waits and fails.
#pragma once

#include "common/event/nursery.h"
#include "common/sys/clock.h"
#include "queued/disk.h"
#include "tests/unit/spool/scratch.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <system_error>
#include <vector>

namespace tambo::test {

struct Running {
    Loop loop;
    Nursery nursery{loop};
    std::vector<std::string> errors;

    Running() {
        nursery.on_error = [this](const std::exception& error) { errors.push_back(error.what()); };
    }
    ~Running() {
        CHECK(errors.empty());
        for (const auto& error : errors)
            UNSCOPED_INFO(error);
    }
    // Runs the loop until holds(); fails the test after a minute: disks may be slow.
    void until(const std::function<bool()>& holds) {
        if (holds()) return;
        int64_t left = 60'000;
        bool over = false;
        nursery.spawn(poll(*this, holds, left, over));
        if (!over) loop.run(); // a stop from before it runs would be forgotten
        REQUIRE(holds());
    }
    void run_for(int64_t ms) {
        const int64_t end = Loop::monotonic_ms() + ms;
        until([end] { return Loop::monotonic_ms() >= end; });
    }
    // Ends all coroutines; everything that they use must still be there.
    void finish() {
        nursery.cancel();
        const int64_t end = Loop::monotonic_ms() + 10'000;
        loop.every(1, [this, end] {
            if (nursery.size() == 0 || Loop::monotonic_ms() > end) loop.stop();
        });
        loop.run();
        REQUIRE(nursery.size() == 0);
    }

  private:
    static task<>
    poll(Running& self, const std::function<bool()>& holds, int64_t& left, bool& over) {
        while (!holds() && left-- > 0)
            co_await sleep_ms(self.nursery, 1);
        over = true;
        self.loop.stop();
    }
};

class CountingDisk final : public queued::Disk {
  public:
    void sync_filesystem() override { sync(filesystem); }
    void sync_files(std::span<const int> bodies) override {
        bodies_synced += static_cast<int>(bodies.size());
        sync(files);
    }
    // While held, a barrier begins but does not end.
    void hold() {
        const std::lock_guard guard(mutex_);
        held_ = true;
    }
    void release() {
        const std::lock_guard guard(mutex_);
        held_ = false;
        changed_.notify_all();
    }

    std::atomic<int> begun{0}, filesystem{0}, files{0}, bodies_synced{0};
    std::atomic<bool> fails{false};

  private:
    void sync(std::atomic<int>& counter) {
        ++begun;
        std::unique_lock guard(mutex_);
        changed_.wait(guard, [this] { return !held_; });
        if (fails) throw std::system_error(EIO, std::generic_category(), "syncfs spool");
        ++counter;
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    bool held_ = false;
};

class ManualClock final : public Clock {
  public:
    int64_t wall_ms = 1'800'000'000'000, elapsed_ms = 1'000'000;

    UtcTime now() override { return UtcTime{wall_ms}; }
    int64_t monotonic_ms() override { return elapsed_ms; }
    void pass(int64_t ms) {
        wall_ms += ms;
        elapsed_ms += ms;
    }
};

class FixedRandom final : public Random {
  public:
    uint64_t u64() override {
        return state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    }

  private:
    uint64_t state_ = 1;
};

} // namespace tambo::test

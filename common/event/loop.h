// The event loop of a process: libevent underneath, nothing of it in this header.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

struct event;
struct event_base;
struct timeval;

namespace tambo {

struct Waiter;
class FdWatch;

// One per process (and one thread). It also sends the events that wait for logd. Everything that belongs to a loop must be destroyed before it.
class Loop {
  public:
    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // Runs until stop() or until nothing is left to wait for.
    void run();
    // Returns from run() after the current callback.
    void stop();

    // Calls fn from the loop, after the current callback. Order is kept.
    void post(std::function<void()> fn);
    // Resumes the waiter's coroutine from the loop. It must be unlinked from its nursery and can no
    // longer be cancelled.
    void resume_later(Waiter& waiter);
    // Calls fn from the loop at each signal number; replaces an earlier handler.
    void on_signal(int number, std::function<void()> fn);
    // Calls fn every interval_ms until the loop goes.
    void every(int64_t interval_ms, std::function<void()> fn);

    // CLOCK_MONOTONIC in milliseconds.
    static int64_t monotonic_ms();

    // For event/ only.
    event_base* base() { return base_; }
    // For event_add at once: waits that share a duration of whole seconds cost O(1). nullptr for 0
    // (none).
    const timeval* timeout(int64_t ms);

  private:
    struct Callback;
    void run_posted();
    void watch_log();

    event_base* base_;
    event* posted_event_ = nullptr;
    bool posted_armed_ = false;
    std::vector<std::function<void()>> posted_;
    std::map<int64_t, const timeval*> timeouts_; // owned by libevent
    std::unique_ptr<timeval> uncommon_;          // the last other duration
    std::vector<std::unique_ptr<Callback>> callbacks_;
    std::unique_ptr<FdWatch> log_watch_; // while events wait for logd
};

// Readiness of one descriptor, which the watch does not own. One callback for all; it may destroy
// the watch.
class FdWatch {
  public:
    enum What : unsigned { readable = 1, writable = 2, timed_out = 4 };
    using Callback = void (*)(void* context, unsigned what);

    FdWatch(Loop& loop, int fd, Callback callback, void* context);
    ~FdWatch();
    FdWatch(const FdWatch&) = delete;
    FdWatch& operator=(const FdWatch&) = delete;

    // Stays armed until disarm_read(); timeout_ms (0: none) restarts at each call and each event.
    void arm_read(int64_t timeout_ms);
    void disarm_read();
    // Fires once.
    void arm_write(int64_t timeout_ms);
    void disarm_write();
    bool reading() const { return reading_; }

  private:
    static void on_event(int fd, short what, void* arg);

    Loop& loop_;
    Callback callback_;
    void* context_;
    event* read_event_;
    event* write_event_;
    bool reading_ = false;
};

// One deadline. The callback may destroy the timer.
class Timer {
  public:
    using Callback = void (*)(void* context);
    Timer(Loop& loop, Callback callback, void* context);
    ~Timer();
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    // Fires once, ms from now; replaces an earlier deadline. Whole seconds are cheapest.
    void arm(int64_t ms);
    void disarm();

  private:
    Loop& loop_;
    Callback callback_;
    void* context_;
    event* event_;
};

} // namespace tambo

// Structured concurrency: a Nursery owns the coroutines that were spawned into it, can cancel what
// they wait for, and is the one place where exceptions of a session end.
#pragma once

#include "common/event/loop.h"
#include "common/event/task.h"

#include <coroutine>
#include <exception>
#include <functional>

namespace tambo {

// The connection or the process is going down. Thrown out of a wait; caught only by the Nursery.
struct Cancelled : std::exception {
    const char* what() const noexcept override { return "cancelled"; }
};
// A deadline passed while waiting.
struct TimedOut : std::exception {
    const char* what() const noexcept override { return "timed out"; }
};
// The peer closed its side.
struct Closed : std::exception {
    const char* what() const noexcept override { return "connection closed"; }
};

// A suspended wait: a node in its nursery's list, so that it can be cancelled.
struct Waiter {
    Waiter* next = nullptr;
    Waiter* previous = nullptr;
    std::coroutine_handle<> handle;

    // Called unlinked; must make the wait end in Cancelled and resume the handle.
    virtual void cancel() = 0;
    // Removes the waiter from its nursery; harmless if it is in none.
    void unlink();

  protected:
    ~Waiter() = default;
};

class Nursery {
  public:
    // what(): text of an exception that no session should let out (it is logged, not swallowed).
    explicit Nursery(Loop& loop);
    // All coroutines have ended by then (check).
    ~Nursery();
    Nursery(const Nursery&) = delete;
    Nursery& operator=(const Nursery&) = delete;

    Loop& loop() { return loop_; }
    bool cancelled() const { return cancelled_; }
    size_t size() const { return count_; }

    // Starts the coroutine at once, on this stack, until it first suspends. Cancelled, TimedOut and
    // Closed end it silently; std::system_error and TlsError-like exceptions are reported through
    // on_error; anything else derived from std::exception likewise.
    void spawn(task<> work);
    // Ends every wait with Cancelled. Later waits throw at once.
    void cancel();
    // The same at the end of a process, when the loop has ended: runs it on until all coroutines
    // have, those too that were woken already, or that wait for a thread.
    void finish();

    void link(Waiter& waiter);

    std::function<void()> on_empty;                        // the last coroutine has ended
    std::function<void(const std::exception&)> on_error;   // default: standard error

  private:
    struct Driver;
    static Driver drive(Nursery& nursery, task<> work);

    struct Head final : Waiter {
        void cancel() override {}
    };
    Loop& loop_;
    Head head_;
    size_t count_ = 0;
    bool cancelled_ = false;
};

// co_await sleep_ms(nursery, 500): continues from the loop. Throws Cancelled.
class Sleep final : public Waiter {
  public:
    Sleep(Nursery& nursery, int64_t ms);
    ~Sleep();
    Sleep(const Sleep&) = delete;
    bool await_ready();
    void await_suspend(std::coroutine_handle<> waiting);
    void await_resume();
    void cancel() override;

  private:
    static void on_event(int fd, short what, void* arg);
    Nursery& nursery_;
    int64_t ms_;
    event* event_ = nullptr;
    bool cancelled_ = false;
};

inline Sleep sleep_ms(Nursery& nursery, int64_t ms) { return Sleep(nursery, ms); }

} // namespace tambo

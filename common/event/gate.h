// Gate: coroutines wait until somebody opens it. The one condition variable of the house.
#pragma once

#include "common/event/nursery.h"

#include <vector>

struct event;

namespace tambo {

// Waiters continue from the loop, never inside open(). Destroying a gate with waiters is a bug,
// unless its nursery is being cancelled: then whoever is cancelled first may own the gate at which
// others wait, and they are cancelled next.
class Gate {
  public:
    explicit Gate(Nursery& nursery) : nursery_(nursery) {}
    ~Gate();
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;

    class Wait final : public Waiter {
      public:
        Wait(Gate& gate, int64_t timeout_ms) : gate_(&gate), timeout_ms_(timeout_ms) {}
        ~Wait();
        Wait(const Wait&) = delete;
        bool await_ready();
        void await_suspend(std::coroutine_handle<> waiting);
        // false: the time was up first. Throws Cancelled.
        bool await_resume();
        void cancel() override;

      private:
        friend class Gate;
        static void on_event(int fd, short what, void* arg);
        void leave();
        Gate* gate_; // nullptr: it has gone
        int64_t timeout_ms_;
        event* event_ = nullptr;
        bool cancelled_ = false, timed_out_ = false;
    };

    // co_await gate.wait(): until the next open(), or at once if the gate stands open.
    Wait wait(int64_t timeout_ms = 0) { return Wait(*this, timeout_ms); }
    // Wakes all that wait now and leaves the gate closed.
    void pulse();
    // Wakes all and lets later waits pass until close().
    void open();
    void close() { open_ = false; }
    bool is_open() const { return open_; }
    size_t waiting() const { return waits_.size(); }

  private:
    Nursery& nursery_;
    std::vector<Wait*> waits_;
    bool open_ = false;
};

} // namespace tambo

#include "common/event/nursery.h"

#include "common/base/check.h"

#include <event2/event.h>

#include <malloc.h>

#include <algorithm>
#include <cstdio>

namespace tambo {

namespace {
constexpr int kFinishRunsMax = 100;
// So many coroutines at once are a flood; it is over when this part of them is left.
constexpr size_t kFlood = 256, kEbb = 8;

// Of the whole process, as memory is.
size_t running = 0, peak = 0;

void one_begins() {
    peak = std::max(peak, ++running);
}

// The allocator keeps what lies below the last block in use: after a flood that may be everything.
void one_ended() {
    --running;
    if (peak < kFlood || running > peak / kEbb) return;
    peak = running;
    ::malloc_trim(0);
}
}

// Fire-and-forget coroutine: destroys itself at its end.
struct Nursery::Driver {
    struct promise_type : detail::FrameAllocator {
        Driver get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { std::terminate(); }
    };
};

void Waiter::unlink() {
    if (next == nullptr) return;
    previous->next = next;
    next->previous = previous;
    next = previous = nullptr;
}

Nursery::Nursery(Loop& loop) : loop_(loop) { head_.next = head_.previous = &head_; }

Nursery::~Nursery() { check(count_ == 0, "a nursery goes while coroutines still run"); }

void Nursery::spawn(task<> work) { drive(*this, std::move(work)); }

Nursery::Driver Nursery::drive(Nursery& nursery, task<> work) {
    nursery.count_++;
    one_begins();
    try {
        co_await std::move(work);
    } catch (const Cancelled&) {
    } catch (const TimedOut&) {
    } catch (const Closed&) {
    } catch (const std::exception& e) {
        if (nursery.on_error) {
            nursery.on_error(e);
        } else {
            std::fprintf(stderr, "unexpected: %s\n", e.what());
        }
    }
    one_ended();
    nursery.count_--;
    if (nursery.count_ == 0 && nursery.on_empty) nursery.on_empty();
}

void Nursery::link(Waiter& waiter) {
    waiter.previous = head_.previous;
    waiter.next = &head_;
    head_.previous->next = &waiter;
    head_.previous = &waiter;
}

void Nursery::cancel() {
    cancelled_ = true;
    while (head_.next != &head_) {
        Waiter* waiter = head_.next;
        waiter->unlink();
        waiter->cancel();
    }
}

void Nursery::finish() {
    cancel();
    on_empty = [this] { loop_.stop(); };
    // Somebody else may stop the loop, too.
    for (int runs = 0; count_ != 0 && runs < kFinishRunsMax; ++runs) loop_.run();
    on_empty = nullptr;
}

Sleep::Sleep(Nursery& nursery, int64_t ms) : nursery_(nursery), ms_(ms) {}

Sleep::~Sleep() {
    if (event_) event_free(event_);
}

bool Sleep::await_ready() {
    cancelled_ = nursery_.cancelled();
    return cancelled_;
}

void Sleep::await_suspend(std::coroutine_handle<> waiting) {
    handle = waiting;
    nursery_.link(*this);
    event_ = event_new(nursery_.loop().base(), -1, 0, on_event, this);
    const timeval delay{ms_ / 1000, ms_ % 1000 * 1000};
    event_add(event_, &delay);
}

void Sleep::on_event(int, short, void* arg) {
    auto* self = static_cast<Sleep*>(arg);
    self->unlink();
    self->handle.resume();
}

void Sleep::await_resume() {
    if (cancelled_) throw Cancelled{};
}

void Sleep::cancel() {
    cancelled_ = true;
    event_del(event_);
    handle.resume();
}

} // namespace tambo

#include "common/event/loop.h"

#include "common/base/check.h"
#include "common/event/nursery.h"
#include "common/sys/log.h"

#include <event2/event.h>

#include <ctime>
#include <utility>

namespace tambo {

struct Loop::Callback {
    std::function<void()> fn;
    event* ev = nullptr;
    int signal_number = 0;

    ~Callback() {
        if (ev) event_free(ev);
    }
};

Loop::Loop() : uncommon_(std::make_unique<timeval>()) {
    event_config* config = event_config_new();
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
    base_ = event_base_new_with_config(config);
    event_config_free(config);
    check(base_ != nullptr, "no event base");
    posted_event_ = event_new(
        base_, -1, 0, [](int, short, void* self) { static_cast<Loop*>(self)->run_posted(); }, this);
    log::set_waiting_hook({[](void* self) { static_cast<Loop*>(self)->watch_log(); }, this});
}

// What a burst of events has left behind goes as soon as the channel takes more.
void Loop::watch_log() {
    if (log_watch_) return;
    log_watch_ = std::make_unique<FdWatch>(
        *this, log::sink_fd(),
        [](void* self, unsigned) {
            auto* loop = static_cast<Loop*>(self);
            if (log::flush()) {
                loop->log_watch_.reset();
            } else {
                loop->log_watch_->arm_write(0);
            }
        },
        this);
    log_watch_->arm_write(0);
}

Loop::~Loop() {
    if (log::waiting_hook().context == this) {
        log::set_waiting_hook({});
        log::flush_at_end();
    }
    log_watch_.reset();
    callbacks_.clear();
    event_free(posted_event_);
    event_base_free(base_);
}

void Loop::run() { event_base_dispatch(base_); }

void Loop::stop() { event_base_loopbreak(base_); }

void Loop::post(std::function<void()> fn) {
    posted_.push_back(std::move(fn));
    if (posted_armed_) return;
    posted_armed_ = true;
    event_active(posted_event_, EV_TIMEOUT, 0);
}

void Loop::run_posted() {
    posted_armed_ = false;
    std::vector<std::function<void()>> now;
    now.swap(posted_);
    for (auto& fn : now) fn();
}

void Loop::resume_later(Waiter& waiter) {
    post([&waiter] { waiter.handle.resume(); });
}

void Loop::on_signal(int number, std::function<void()> fn) {
    for (auto& existing : callbacks_) {
        if (existing->signal_number == number) {
            existing->fn = std::move(fn);
            return;
        }
    }
    auto callback = std::make_unique<Callback>();
    callback->fn = std::move(fn);
    callback->signal_number = number;
    callback->ev = evsignal_new(
        base_, number, [](int, short, void* c) { static_cast<Callback*>(c)->fn(); },
        callback.get());
    event_add(callback->ev, nullptr);
    callbacks_.push_back(std::move(callback));
}

void Loop::every(int64_t interval_ms, std::function<void()> fn) {
    auto callback = std::make_unique<Callback>();
    callback->fn = std::move(fn);
    callback->ev = event_new(
        base_, -1, EV_PERSIST, [](int, short, void* c) { static_cast<Callback*>(c)->fn(); },
        callback.get());
    const timeval interval{interval_ms / 1000, interval_ms % 1000 * 1000};
    event_add(callback->ev, &interval);
    callbacks_.push_back(std::move(callback));
}

int64_t Loop::monotonic_ms() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

const timeval* Loop::timeout(int64_t ms) {
    if (ms <= 0) return nullptr;
    const timeval plain{ms / 1000, ms % 1000 * 1000};
    const auto known = timeouts_.find(ms);
    if (known != timeouts_.end()) return known->second;
    // libevent keeps a queue for each common duration and allows 256 of them.
    if (ms % 1000 == 0 && timeouts_.size() < 200) {
        if (const timeval* shared = event_base_init_common_timeout(base_, &plain)) {
            timeouts_[ms] = shared;
            return shared;
        }
    }
    *uncommon_ = plain;
    return uncommon_.get();
}

FdWatch::FdWatch(Loop& loop, int fd, Callback callback, void* context)
    : loop_(loop), callback_(callback), context_(context),
      read_event_(event_new(loop.base(), fd, EV_READ | EV_PERSIST, on_event, this)),
      write_event_(event_new(loop.base(), fd, EV_WRITE, on_event, this)) {}

FdWatch::~FdWatch() {
    event_free(read_event_);
    event_free(write_event_);
}

void FdWatch::arm_read(int64_t timeout_ms) {
    reading_ = true;
    if (timeout_ms <= 0) event_remove_timer(read_event_); // one of an earlier wait would stay
    event_add(read_event_, loop_.timeout(timeout_ms));
}

void FdWatch::disarm_read() {
    if (!reading_) return;
    reading_ = false;
    event_del(read_event_);
}

void FdWatch::arm_write(int64_t timeout_ms) { event_add(write_event_, loop_.timeout(timeout_ms)); }

void FdWatch::disarm_write() { event_del(write_event_); }

void FdWatch::on_event(int, short what, void* arg) {
    auto* self = static_cast<FdWatch*>(arg);
    unsigned flags = 0;
    if (what & EV_READ) flags |= readable;
    if (what & EV_WRITE) flags |= writable;
    if (what & EV_TIMEOUT) flags |= timed_out;
    self->callback_(self->context_, flags);
}

Timer::Timer(Loop& loop, Callback callback, void* context)
    : loop_(loop), callback_(callback), context_(context),
      event_(event_new(
          loop.base(), -1, 0,
          [](int, short, void* arg) {
              auto* self = static_cast<Timer*>(arg);
              self->callback_(self->context_);
          },
          this)) {}

Timer::~Timer() { event_free(event_); }

void Timer::arm(int64_t ms) {
    event_del(event_);
    const timeval now{0, 0};
    event_add(event_, ms > 0 ? loop_.timeout(ms) : &now);
}

void Timer::disarm() { event_del(event_); }

} // namespace tambo

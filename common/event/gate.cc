#include "common/event/gate.h"

#include "common/base/check.h"

#include <event2/event.h>


namespace tambo {

Gate::~Gate() {
    check(waits_.empty() || nursery_.cancelled(), "a gate goes while somebody waits at it");
    for (Wait* wait : waits_) wait->gate_ = nullptr;
}

void Gate::pulse() {
    std::vector<Wait*> woken;
    woken.swap(waits_);
    for (Wait* wait : woken) {
        wait->unlink();
        if (wait->event_) event_del(wait->event_);
        nursery_.loop().resume_later(*wait);
    }
}

void Gate::open() {
    open_ = true;
    pulse();
}

Gate::Wait::~Wait() {
    if (event_) event_free(event_);
}

bool Gate::Wait::await_ready() {
    cancelled_ = gate_->nursery_.cancelled();
    return cancelled_ || gate_->open_;
}

void Gate::Wait::await_suspend(std::coroutine_handle<> waiting) {
    handle = waiting;
    gate_->nursery_.link(*this);
    gate_->waits_.push_back(this);
    if (timeout_ms_ <= 0) return;
    event_ = event_new(gate_->nursery_.loop().base(), -1, 0, on_event, this);
    const timeval delay{timeout_ms_ / 1000, timeout_ms_ % 1000 * 1000};
    event_add(event_, &delay);
}

void Gate::Wait::leave() {
    if (gate_) std::erase(gate_->waits_, this);
    if (event_) event_del(event_);
    unlink();
}

void Gate::Wait::on_event(int, short, void* arg) {
    auto* self = static_cast<Wait*>(arg);
    self->timed_out_ = true;
    self->leave();
    self->handle.resume();
}

bool Gate::Wait::await_resume() {
    if (cancelled_) throw Cancelled{};
    return !timed_out_;
}

void Gate::Wait::cancel() {
    cancelled_ = true;
    leave();
    handle.resume();
}

} // namespace tambo

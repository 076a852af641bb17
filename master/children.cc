// The life of a process in master's eyes. What a process is given at its start is in boot_child.cc.
#include "master/children.h"

#include "common/base/check.h"
#include "common/ipc/boot.h"
#include "common/sys/clock.h"
#include "common/sys/error.h"
#include "common/sys/fdpass.h"
#include "common/sys/log.h"
#include "common/sys/wait_status.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <system_error>
#include <utility>

namespace tambo::master {

namespace {

constexpr int64_t kReadyWithin_ms = 60'000;
// Retired imapd or pop3d processes of one place; beyond it the oldest is drained, so that clients
// that stay for days cannot pile up processes.
constexpr size_t kRetiredMax = 32;
constexpr int64_t kRetiredGrace_ms = 30'000;

} // namespace

Children::Slot::Slot(Children& its_owner, const Service& its_service, size_t its_index)
    : service(its_service), index(its_index), owner(its_owner),
      retry(
          its_owner.nursery_.loop(),
          [](void* self) {
              auto* slot = static_cast<Slot*>(self);
              slot->owner.start(*slot);
          },
          this) {}

Children::Children(Nursery& nursery, Surroundings& around)
    : nursery_(nursery), around_(around),
      stage_stopped_(static_cast<size_t>(Stage::last_) + 1, false),
      rewire_(
          nursery.loop(), [](void* self) { static_cast<Children*>(self)->rewire(); }, this) {
    for (const Service& service : services()) {
        for (size_t i = 0; i < process_count(service, around.config); ++i) {
            slots_.push_back(std::make_unique<Slot>(*this, service, i));
        }
    }
}

Children::~Children() = default;

void Children::start_all() {
    for (auto& slot : slots_)
        start(*slot);
}

void Children::start(Slot& slot) {
    if (slot.current || stage_stopped_[static_cast<size_t>(slot.service.stage)]) return;
    const bool generations = slot.service.count == Count::generations;
    const uint64_t number = generations ? start_counter_ + 1 : slot.index;
    auto child = std::make_unique<Child>(*this, nursery_, slot.service, slot.index,
                                         instance_name(slot.service, number));
    child->start_number = ++start_counter_;
    try {
        auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
        child->pid =
            around_.executables.start(slot.service.executable, child->instance, theirs.get());
        child->control.attach(std::move(ours));
    } catch (const std::system_error& e) {
        log::Event("process.start_failed", log::Level::critical)
            .with("process", child->instance)
            .with("why", e.what());
        schedule(slot, 0);
        return;
    }
    child->started = SystemClock().now();
    child->started_ms = Loop::monotonic_ms();
    child->deadline.arm(kReadyWithin_ms);
    ++slot.starts;
    slot.current = child.get();
    children_.push_back(std::move(child));
}

void Children::on_hello(Child& child, const std::string& build_id) {
    if (child.wired || child.held || build_id != ipc::build_id()) {
        kill(child, "it is of another build");
        return;
    }
    // Who shows certificates begins after keyd: its first client would find nobody who signs.
    const auto peers = peers_of(child.service);
    child.held = std::ranges::any_of(peers, [](auto* peer) { return peer->name == "keyd"; }) &&
                 find_wired("keyd") == nullptr;
    if (child.held) return;
    begin(child);
    if (child.service.name != "keyd" || !child.wired) return;
    for (const auto& other : children_) {
        if (std::exchange(other->held, false)) begin(*other);
    }
}

void Children::begin(Child& child) {
    try {
        send_boot(child);
    } catch (const std::system_error& e) {
        kill(child, e.what());
    }
}

void Children::on_ready(Child& child) {
    log::Event("process.ready")
        .with("process", child.instance)
        .with("pid", int64_t{child.pid})
        .with("missing", child.isolation);
    if (on_started) on_started(child);
    const bool now_ready = all_ready();
    if (now_ready && !were_ready_ && on_all_ready) on_all_ready();
    were_ready_ = now_ready;
}

void Children::on_retired(Child& child) {
    if (child.service.count != Count::generations || child.state != ChildState::running) return;
    child.state = ChildState::retired;
    log::Event("process.retired")
        .with("process", child.instance)
        .with("connections", int64_t{child.connections_left});
    Slot& slot = slot_of(child);
    slot.current = nullptr;
    start(slot);
    limit_retired(child.service, child.slot);
}

void Children::limit_retired(const Service& service, size_t slot) {
    std::vector<Child*> retired;
    for (const auto& child : children_) {
        const bool here = &child->service == &service && child->slot == slot;
        if (here && child->state == ChildState::retired) retired.push_back(child.get());
    }
    if (retired.size() <= kRetiredMax) return;
    retired.front()->state = ChildState::draining; // in the order of their start
    retired.front()->control.send(ipc::Drain{kRetiredGrace_ms});
}

void Children::report_fault(Child& child, const ipc::Fault& fault) {
    log::Event("process.fault", log::Level::critical)
        .with("process", child.instance)
        .with("what", fault.what);
    if (on_fault) on_fault(fault);
}

void Children::kill(Child& child, std::string_view why) {
    if (!why.empty()) {
        log::Event("process.killed", log::Level::error)
            .with("process", child.instance)
            .with("why", why);
    }
    // The process is our child and not reaped yet, so the number is still its own.
    ::kill(child.pid, SIGKILL);
}

void Children::reap() {
    for (;;) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, WNOHANG);
        if (pid <= 0) return;
        const auto found = std::ranges::find(children_, pid, [](const auto& c) { return c->pid; });
        if (found == children_.end()) {
            if (on_stranger) on_stranger(pid, status);
            continue;
        }
        auto child = std::move(*found);
        children_.erase(found);
        ended(std::move(child), status);
    }
}

void Children::ended(std::unique_ptr<Child> child, int status) {
    const bool expected =
        child->state == ChildState::draining || child->state == ChildState::retired;
    const bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    log::Event("process.ended", expected && clean ? log::Level::info : log::Level::error)
        .with("process", child->instance)
        .with("pid", int64_t{child->pid})
        .with("how", wait_status_text(status));
    const bool at_shutdown = stage_stopped_[static_cast<size_t>(child->service.stage)];
    // The first one has left nothing behind if it had not begun.
    const bool touched_storage = child->service.storage && (child->wired || restarts(*child) > 0);
    if (touched_storage && at_shutdown && !clean) storage_ended_cleanly_ = false;
    child->control.on_lost = nullptr;
    std::erase_if(links_, [number = child->start_number](const auto& link) {
        return link.second.first == number || link.second.second == number;
    });
    if (child->service.count == Count::generations) forget_instance(*child);
    Slot& slot = slot_of(*child);
    if (slot.current == child.get()) {
        slot.current = nullptr;
        were_ready_ = false;
        // What we restarted has not died young: the next fault of the disk must not find it paused.
        const int64_t lived_ms = Loop::monotonic_ms() - child->started_ms;
        schedule(slot, child->restarted ? Backoff::kLongLife_ms : lived_ms);
    }
    if (on_end) on_end();
}

// Its name is never used again: peers may forget it.
void Children::forget_instance(const Child& child) {
    const auto peers = peers_of(child.service);
    for (const auto& other : children_) {
        const bool peer = std::ranges::find(peers, &other->service) != peers.end();
        if (peer && other->wired) other->control.send(ipc::PeerGone{child.instance});
    }
    around_.log_pipes.forget(child.instance);
}

void Children::schedule(Slot& slot, int64_t lived_ms) {
    if (stage_stopped_[static_cast<size_t>(slot.service.stage)]) return;
    const int64_t wait_ms = slot.backoff.died(lived_ms);
    slot.retry_at_ms = Loop::monotonic_ms() + wait_ms;
    slot.retry.arm(wait_ms);
    if (slot.backoff.loops() && on_crash_loop) {
        on_crash_loop(instance_name(slot.service, slot.index));
    }
}

void Children::broadcast_storage_state(bool read_only) {
    for (auto& child : children_) {
        if (child->wired) child->control.send(ipc::StorageState{read_only});
    }
}

void Children::drain(Stage stage, int64_t grace_ms) {
    stage_stopped_[static_cast<size_t>(stage)] = true;
    for (const auto& slot : slots_) { // died, and nobody has looked after what it left
        const bool missing = slot->service.stage == stage && !slot->current;
        if (missing && slot->service.storage) storage_ended_cleanly_ = false;
    }
    for (auto& child : children_) {
        if (child->service.stage != stage) continue;
        const bool started = child->wired;
        child->state = ChildState::draining;
        if (started) child->control.send(ipc::Drain{grace_ms});
        if (!started) kill(*child, ""); // it has done nothing yet
    }
}

void Children::kill_stage(Stage stage) {
    for (auto& child : children_) {
        if (child->service.stage == stage) kill(*child, "it did not finish in time");
    }
}

size_t Children::count(Stage stage) const {
    return static_cast<size_t>(std::ranges::count_if(
        children_, [&](const auto& child) { return child->service.stage == stage; }));
}

void Children::restart_storage() {
    for (auto& child : children_) {
        if (!child->service.storage) continue;
        child->restarted = true;
        kill(*child, "restarted after a storage fault");
    }
}

bool Children::all_ready() const {
    return std::ranges::all_of(slots_, [](const auto& slot) {
        return slot->current && slot->current->state == ChildState::running;
    });
}

uint64_t Children::restarts(const Child& child) const {
    for (const auto& slot : slots_) {
        if (&slot->service == &child.service && slot->index == child.slot) return slot->starts - 1;
    }
    return 0;
}

std::vector<std::pair<std::string, int64_t>> Children::waiting() const {
    std::vector<std::pair<std::string, int64_t>> list;
    for (const auto& slot : slots_) {
        if (slot->current) continue;
        const int64_t wait_ms = slot->retry_at_ms - Loop::monotonic_ms();
        list.emplace_back(instance_name(slot->service, slot->index), std::max<int64_t>(wait_ms, 0));
    }
    return list;
}

Child* Children::find_running(std::string_view service) {
    for (auto& child : children_) {
        const bool runs = child->state == ChildState::running;
        if (runs && child->service.name == service) return child.get();
    }
    return nullptr;
}

Child* Children::find_wired(std::string_view service) {
    for (auto& child : children_) {
        if (child->wired && child->service.name == service) return child.get();
    }
    return nullptr;
}

Children::Slot& Children::slot_of(const Child& child) {
    for (auto& slot : slots_) {
        if (&slot->service == &child.service && slot->index == child.slot) return *slot;
    }
    check(false, "a child without a place");
    std::abort();
}

} // namespace tambo::master

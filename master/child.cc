#include "master/child.h"

#include "master/children.h"

namespace tambo::master {

namespace {
constexpr int64_t kEndWithin_ms = 5'000;
}

std::string_view state_name(ChildState state) {
    switch (state) {
    case ChildState::starting:
        return "starting";
    case ChildState::running:
        return "running";
    case ChildState::retired:
        return "retired";
    case ChildState::draining:
        return "draining";
    }
    return "";
}

Child::Child(Children& its_owner,
             Nursery& nursery,
             const Service& its_service,
             size_t its_slot,
             std::string its_instance)
    : service(its_service), slot(its_slot), instance(std::move(its_instance)), owner(its_owner),
      control(nursery, instance),
      deadline(
          nursery.loop(),
          [](void* self) {
              auto* child = static_cast<Child*>(self);
              const bool late = child->state == ChildState::starting && child->control.connected();
              child->owner.kill(*child, late ? "not ready in time" : "it hangs at its end");
          },
          this) {
    control.on<ipc::Hello>(*this, &Child::hello);
    control.on<ipc::Ready>(*this, &Child::ready);
    control.on<ipc::Retired>(*this, &Child::retire);
    control.on<ipc::Unwired>(*this, &Child::unwired);
    // All mail stops then: nobody else may say so (RULES.md P8).
    if (service.storage) control.on<ipc::Fault>(*this, &Child::fault);
    if (service.name == "submit" || service.name == "authd") {
        control.on<ipc::DropTaken>(*this, &Child::drop_taken);
    }
    // It is about to end by itself, or it broke the contract and will end by the end of the
    // channel.
    control.on_lost = [this] { deadline.arm(kEndWithin_ms); };
}

void Child::hello(ipc::Hello message) {
    owner.on_hello(*this, message.build_id);
}

void Child::ready(ipc::Ready message) {
    deadline.disarm();
    isolation = std::move(message.isolation);
    if (state == ChildState::starting) state = ChildState::running;
    owner.on_ready(*this);
}

void Child::fault(ipc::Fault message) {
    owner.report_fault(*this, message);
}

void Child::retire(ipc::Retired message) {
    connections_left = message.connections;
    owner.on_retired(*this);
}

void Child::unwired(ipc::Unwired message) {
    owner.on_unwired(*this, message.link);
}

void Child::drop_taken(ipc::DropTaken message) {
    if (owner.on_drop_taken) owner.on_drop_taken(message.name, message.outcome);
}

} // namespace tambo::master

// One running daemon: its process, its control channel, and what master knows about it.
#pragma once

#include "common/base/time.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/control.h"
#include "master/wiring.h"

#include <memory>
#include <string>

#include <sys/types.h>

namespace tambo::master {

enum class ChildState {
    starting, // no Ready yet
    running,
    retired,  // serves what it has; its successor accepts
    draining, // told to finish
};

std::string_view state_name(ChildState state);

class Children;

struct Child {
    Child(Children& owner,
          Nursery& nursery,
          const Service& service,
          size_t slot,
          std::string instance);

    const Service& service;
    const size_t slot; // among the service's accepting processes
    const std::string instance;
    uint64_t start_number = 0;
    pid_t pid = -1;
    ChildState state = ChildState::starting;
    bool held = false;      // Hello was good, but keyd has not begun yet
    bool wired = false;     // Hello was good: it has its peers and takes more
    bool restarted = false; // was ended so that a new one begins
    UtcTime started;
    int64_t started_ms = 0;        // monotonic
    std::string isolation;         // what its sandbox could not do
    uint32_t connections_left = 0; // retired: at that time

    Children& owner;
    ipc::Channel control;
    Timer deadline; // to become ready; later, to end

  private:
    void hello(ipc::Hello message);
    void ready(ipc::Ready message);
    void fault(ipc::Fault message);
    void retire(ipc::Retired message);
    void unwired(ipc::Unwired message);
    void drop_taken(ipc::DropTaken message);
};

} // namespace tambo::master

// The door for programs of this machine: who comes through it is known here, from the kernel, and
// submit gets the connection together with the login that it is worth (ARCHITECTURE.md, "Authority
// never comes from a network process"). Reads no byte of what passes.
#pragma once

#include "common/base/unique_fd.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/authd.h"
#include "common/net/listener.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tambo::authd {

class LocalDoor {
  public:
    // login: what a user of the host may do, as token and address.
    using LoginOf = std::function<ipc::LocalArrival(uint32_t uid)>;
    LocalDoor(Nursery& nursery, LoginOf login);
    LocalDoor(const LocalDoor&) = delete;

    // The listening socket submit.sock, as master made it; an invalid one opens nothing.
    void listen(UniqueFd socket);
    // A file of drop/ that master has opened: its owner is the sender. False: it is no regular file
    // with one link, and nobody gets it.
    bool pass_file(const std::string& name, UniqueFd file);

    // The submission daemons take what comes, in turn. A channel stays until it is removed.
    void add(ipc::Channel& submit);
    void remove(ipc::Channel& submit);

    size_t passing() const { return passing_; }

  private:
    void accept(UniqueFd socket);
    task<> pass(ipc::LocalArrival arrival);
    ipc::Channel* next();

    Nursery& nursery_;
    LoginOf login_;
    std::vector<ipc::Channel*> submits_;
    size_t turn_ = 0, passing_ = 0;
    std::unique_ptr<net::Listener> listener_;
};

} // namespace tambo::authd

// The sockets on which the suite listens: bound by master alone, before any daemon runs, and kept
// over their restarts and its own, so that a connection never finds a closed door.
#pragma once

#include "common/base/unique_fd.h"
#include "common/conf/config.h"
#include "master/directories.h"
#include "master/users.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::master {

class Listeners {
  public:
    struct Socket {
        std::string name;    // as in the wiring table: "smtp", "imaps", "submit", "control"
        std::string owner;   // the service of a control socket, "master" for its own, else ""
        std::string address; // "127.0.0.1:25", or a path below the suite's directory
        uint16_t port = 0;   // 0 for local sockets
        UniqueFd fd;

        bool is_local() const { return name == "control" || name == "submit"; }
    };
    // Sockets that a former program of this process had (master/handover.h), used where they fit.
    void inherit(std::vector<Socket> sockets) { inherited_ = std::move(sockets); }

    // Binds the listen.* keys. Returns what could not be bound, one sentence each, empty if all is
    // well. Inherited ports that no key names any more are closed.
    std::vector<std::string> bind_ports(const conf::Config& config);
    // control/<daemon>.sock for master and each daemon that has one, and submit.sock. Throws
    // std::system_error naming the socket.
    void bind_local(const Directories& directories, const Users& users);

    const std::vector<Socket>& all() const { return sockets_; }
    // What service gets: its words of the wiring table, each with its sockets.
    std::vector<const Socket*> of(std::string_view service, std::string_view listeners) const;
    UniqueFd take_own_control();

  private:
    UniqueFd
    take_inherited(std::string_view name, std::string_view owner, std::string_view address);

    std::vector<Socket> sockets_, inherited_;
};

} // namespace tambo::master

// A daemon's side of its control socket: accepts the command line on a listening SOCK_SEQPACKET
// socket that master made, checks who asks, and answers verbs.
#pragma once

#include "common/ipc/channel.h"
#include "common/ipc/messages/admin.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tambo::ipc {

// The asking process, from SO_PEERCRED. privileged: root, the suite's own user, or a member of the
// group that the socket belongs to (the kernel let it connect: mode 0660).
struct Asker {
    uint32_t uid = 0, gid = 0;
};

class AdminServer {
  public:
    using Handler = std::function<task<AdminAnswer>(AdminRequest request, Asker asker)>;
    // listener: SOCK_SEQPACKET, bound, listening. nursery must be empty before the server goes.
    AdminServer(Nursery& nursery, UniqueFd listener);
    ~AdminServer();

    // Handler of a verb. Unknown verbs are answered with 64 and the list of known ones. The handler
    // must not be a capturing coroutine lambda: let a plain lambda call a member function.
    void on(const std::string& verb, Handler handler);

  private:
    struct Connection;
    void accept_all();
    task<AdminAnswer> answer(AdminRequest request, Asker asker);
    void reap();

    Nursery& nursery_;
    UniqueFd listener_;
    FdWatch watch_;
    std::vector<std::pair<std::string, Handler>> handlers_;
    std::vector<std::unique_ptr<Connection>> connections_;
};

// The command's side: connects, asks, collects all pages. Blocking; for the cli only. nullopt when
// nobody listens.
std::optional<AdminAnswer> ask_daemon(const std::string& socket_path, AdminRequest request);

} // namespace tambo::ipc

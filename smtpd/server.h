// The listeners of one smtpd process and the sessions they start.
#pragma once

#include "common/ipc/messages/authd.h"
#include "common/net/listener.h"
#include "smtpd/service.h"
#include "smtpd/session.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tambo::smtpd {

class Server {
  public:
    // service outlives the server. As submission it takes users of the host from authd.
    explicit Server(Service& service);
    // A message from drop/ has come, by the same way.
    std::function<void(ipc::LocalArrival)> on_drop;

    // name: as master gives it, "smtp", "submission", "submissions". False for any other: nothing
    // is opened.
    bool listen(const std::string& name, UniqueFd socket);
    // A connection from a listener: starts a session, or tells the client that there are too many.
    void accept(UniqueFd socket, Arrival arrival);
    // Starts a session on a non-blocking socket.
    void serve(UniqueFd socket, Arrival arrival);
    Nursery& nursery() { return service_.nursery; }
    Service& service() { return service_; }
    // No new connection, no new command; calls done when the last session has ended, at the latest
    // after grace_ms (what still runs then is cut off).
    void drain(int64_t grace_ms, std::function<void()> done);

  private:
    task<ipc::LocalTaken> take_local(ipc::LocalArrival message);
    task<> wait_for_sessions(int64_t grace_ms, std::function<void()> done);

    Service& service_;
    std::vector<std::unique_ptr<net::Listener>> listeners_;
};

// A session of the user whom authd has passed; descriptor and drop_name are not looked at.
Arrival local_arrival(const ipc::LocalArrival& message);

// The role that an instance name stands for: "mx.0" takes mail from strangers, all else from users.
Role role_of(std::string_view instance);

} // namespace tambo::smtpd

// The listeners of one process, and its generation: it accepts for a bounded time or number
// of connections, then closes its listeners for good and serves what it has, while master starts
// the next. So a stranger never reaches a process that holds older sessions.
#pragma once

#include "common/event/loop.h"
#include "common/login/connection.h"
#include "common/net/listener.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tambo::login {

class Server {
  public:
    // service outlives the server.
    explicit Server(Service& service);
    Server(const Server&) = delete;

    // name: as master gives it, one of the protocol's doors. false for any other: nothing is
    // opened.
    bool listen(const std::string& name, UniqueFd socket);
    // Starts to serve, or tells the client that there are too many.
    void accept(UniqueFd socket, const net::SocketAddress& peer, Door door);
    // No new connections; calls on_finished when the last has ended, at the latest a moment after
    // grace_ms (what still runs then loses its session). A session whose client has had its answers
    // and asks for nothing more ends sooner: behind pace.quiet_ms of that at first, and the longer
    // the others have been waiting, the less it takes.
    void drain(int64_t grace_ms);
    bool accepting() const { return accepting_; }

    // The listeners are closed for good; so many connections are left. Not called by drain().
    std::function<void(uint32_t connections)> on_retired;
    // Retired or drained, and no connection is left.
    std::function<void()> on_finished;

  private:
    static task<> serve(std::unique_ptr<Connection> connection);
    void retire();
    void close_listeners();
    void connection_ended();
    task<> cut_off(int64_t grace_ms);
    void end_sessions(int64_t quiet_ms);

    Service& service_;
    std::vector<std::unique_ptr<net::Listener>> listeners_;
    Timer generation_;
    int64_t accepted_ = 0;
    bool accepting_ = true;
};

} // namespace tambo::login

// A connection after its login: bytes go between the client's TLS and the socket of the account
// process, unread, with back-pressure both ways. The first bytes from there answer PASS or AUTH.
#pragma once

#include "common/event/gate.h"
#include "pop3d/service.h"

#include <memory>

namespace tambo::pop3d {

class Relay {
  public:
    // Starts both directions as coroutines of the service's nursery. session: non-blocking.
    static void start(std::unique_ptr<Connection> connection, UniqueFd session);

    Relay(std::unique_ptr<Connection> connection, UniqueFd session);
    ~Relay();
    Relay(const Relay&) = delete;

  private:
    static task<> up(std::shared_ptr<Relay> self);
    static task<> down(std::shared_ptr<Relay> self);
    task<> pump_up();
    task<> pump_down();
    task<> take_leave();
    task<> breathe(size_t bytes, size_t& since_pause);

    std::unique_ptr<Connection> connection_;
    net::Stream session_;
    Gate up_ended_;
    bool is_up_ = true;
    bool session_ended_ = false; // the account process closed its end
};

} // namespace tambo::pop3d

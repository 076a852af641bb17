// A connection after its login: bytes go between the client's TLS and the socket of the account
// process, unread, with back-pressure both ways. What the client is told when
// the account process goes away is the protocol's.
#pragma once

#include "common/event/gate.h"
#include "common/login/connection.h"

#include <memory>
#include <string>
#include <string_view>

namespace tambo::login {

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
    void keep_last_words(std::string_view piece);
    task<> breathe(size_t bytes, size_t& since_pause);

    std::unique_ptr<Connection> connection_;
    net::Stream session_;
    Gate up_ended_;
    bool is_up_ = true;
    bool session_ended_ = false; // the account process closed its end
    std::string last_words_;     // of the session, since the client last spoke
};

} // namespace tambo::login

// What all connections of one process before its account processes share, and one of them. The
// process holds no mail, no key and no password: it speaks TLS and the few commands before the
// login, then it carries bytes.
#pragma once

#include "common/conf/login_config.h"
#include "common/crypto/tls.h"
#include "common/event/nursery.h"
#include "common/ipc/channel.h"
#include "common/login/protocol.h"
#include "common/net/address.h"
#include "common/net/stream.h"
#include "common/sys/clock.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>

namespace tambo::login {

// The deadlines of a connection; tests shorten them.
struct Pace {
    int64_t silence_ms = 0;     // before login, for each wait
    int64_t login_ms = 180'000; // from the first byte to the login
    // While bytes are carried the session watches the client's silence; this is for a client that
    // does not take what it asked for.
    int64_t stalled_ms = 0;
    int64_t linger_ms = 2'000; // for the client to close first
    int64_t quiet_ms = 1'000;  // between two commands, when the process drains; see Server::drain
};

// Kept by the process; outlives all connections.
struct Service {
    Service(const Protocol& p, Nursery& n, ipc::Channel& a, Random& r, conf::LoginConfig c = {})
        : protocol(p), nursery(n), authd(a), random(r),
          config(std::move(c)), pace{.silence_ms = p.silence_ms, .stalled_ms = p.stalled_ms} {}

    const Protocol& protocol;
    Nursery& nursery;
    ipc::Channel& authd;
    Random& random;
    conf::LoginConfig config;
    std::optional<TlsContext> tls; // absent: no TLS is announced, nobody can log in
    Pace pace;
    std::set<Connection*> connections;         // kept by Connection itself
    std::function<void()> on_connection_ended; // after it was taken out
};

enum class Door { clear, tls };

// One client, from its arrival to the end of its session. Shared by the coroutines that serve it.
class Connection {
  public:
    Connection(Service& service, UniqueFd socket, const net::SocketAddress& peer, Door door);
    // Says so to the log, and to authd if the connection or a session may be counted there.
    ~Connection();
    Connection(const Connection&) = delete;

    Service& service;
    net::Stream io;
    const net::SocketAddress peer;
    const Door door;
    const std::string sid;
    std::string login;                    // the account's address, once there is one
    std::string ended_why = "gone";       // for the event
    bool counted = false;                 // authd counts it
    bool session_asked = false;           // and perhaps a session of it
    int session_fd = -1;                  // while bytes are carried; owned by the relay
    uint64_t bytes_in = 0, bytes_out = 0; // while they are carried
    // Since when the session has had the last word, which the client has been sent whole; nullopt:
    // the client waits for an answer. While bytes are carried.
    std::optional<int64_t> quiet_since_ms;

  private:
    int64_t started_ms_;
};

} // namespace tambo::login

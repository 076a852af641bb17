// Accepts connections on a socket that master has bound, one callback for each.
#pragma once

#include "common/base/unique_fd.h"
#include "common/event/loop.h"
#include "common/net/address.h"

#include <functional>

namespace tambo::net {

// Accepted sockets are non-blocking, close-on-exec and have TCP_NODELAY. When descriptors run out
// the listener drops the waiting connection (a spare descriptor is kept for that) and pauses for a
// moment instead of spinning (RULES.md D13).
class Listener {
  public:
    using OnAccept = std::function<void(UniqueFd socket, const SocketAddress& peer)>;
    Listener(Loop& loop, UniqueFd socket, OnAccept on_accept);
    Listener(const Listener&) = delete;

    // Back-pressure: connections wait in the kernel meanwhile.
    void pause();
    void resume();
    // Closes the listening socket for good.
    void close();
    bool closed() const { return !socket_.valid(); }

  private:
    void accept_some();
    void shed_one();

    UniqueFd socket_, spare_;
    OnAccept on_accept_;
    FdWatch watch_;
    Timer retry_;
    bool paused_ = false;
};

} // namespace tambo::net

// Connections that have just delivered and wait a moment for the next message to the same place
// (RFC 5321 4.1.1.10 asks for QUIT, not for haste). Also says goodbye to those that are done.
#pragma once

#include "relayd/connection.h"

#include <list>
#include <memory>
#include <string>

namespace tambo::relayd {

class Pool {
  public:
    // nursery must be empty before the pool goes.
    explicit Pool(Nursery& nursery) : nursery_(nursery) {}
    Pool(const Pool&) = delete;

    // One that waits for `place`, or nullptr. It may turn out to be closed by now.
    std::unique_ptr<Connection> take(const std::string& place);
    // Keeps it for limits::relay_idle_ms if it is idle(), or closes it: politely while it is
    // usable(), without making anybody wait.
    void put(const std::string& place, std::unique_ptr<Connection> connection);
    void close(std::unique_ptr<Connection> connection);
    // Those that wait are closed, and later ones at once.
    void shut();

  private:
    struct Idle;
    using Waiting = std::list<std::shared_ptr<Idle>>;
    task<> keep(std::shared_ptr<Idle> idle);
    static task<> say_goodbye(std::shared_ptr<Connection> connection);

    Nursery& nursery_;
    Waiting waiting_;
    bool shut_ = false;
};

} // namespace tambo::relayd

// The clean process from which account processes are forked: made before the keeper holds tables or
// sockets, so that no account process inherits any of another account's.
#pragma once

#include "common/base/unique_fd.h"
#include "common/sys/sandbox.h"
#include "mailboxd/spawn.h"

namespace tambo::mailboxd {

class Zygote {
  public:
    // Forks the zygote, which enters its sandbox and then only waits for Spawn, and for
    // processes that end: an event says how, if it was not well. mail: the directory
    // of all accounts. To be called while the process has one thread and no loop.
    static Zygote start(const sandbox::Identity& identity, int mail);

    // Of one that runs already: where it takes its orders.
    explicit Zygote(UniqueFd socket) : socket_(std::move(socket)) {}

    // false: the zygote is gone, and the keeper must end too.
    bool spawn(const Spawn& order);
    // Nothing is spawned any more. Returns when the zygote has said how its last processes ended,
    // or after a second.
    void end();
    // Readable when the zygote has ended.
    int fd() const { return socket_.get(); }

  private:
    UniqueFd socket_;
};

} // namespace tambo::mailboxd

#include "mailboxd/zygote.h"

#include "common/base/limits.h"
#include "common/ipc/codec.h"
#include "common/sys/error.h"
#include "common/sys/fdpass.h"
#include "common/sys/log.h"
#include "common/sys/sandbox.h"
#include "mailboxd/account_process.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <vector>

namespace tambo::mailboxd {

namespace {

// Everything that the keeper was given goes, but what is named. -1: there is no channel to logd.
void close_all_but(std::vector<int> kept) {
    std::erase(kept, -1);
    std::sort(kept.begin(), kept.end());
    unsigned from = 3;
    for (const int fd : kept) {
        const auto number = static_cast<unsigned>(fd);
        if (number > from) ::close_range(from, number - 1, 0);
        from = std::max(from, number + 1);
    }
    ::close_range(from, ~0u, 0);
}

[[noreturn]] void run_zygote(int orders, int mail, const sandbox::Identity& identity) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::signal(SIGCHLD, SIG_IGN); // account processes need no burial
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        std::signal(number, SIG_IGN);
    }
    // Ready once, for all account processes.
    const sandbox::Prepared account_sandbox(sandbox::profiles::account);
    sandbox::Entry entry;
    entry.identity = identity;
    entry.paths = {{mail, sandbox::Access::read_write | sandbox::Access::refer}};
    sandbox::enter(sandbox::profiles::zygote, entry);
    ::malloc_trim(0); // a child would copy what it takes from here
    for (;;) {
        Datagram datagram;
        const auto status =
            receive_datagram(orders, limits::ipc_message_bytes, limits::ipc_fds_max, datagram);
        if (status != ReceiveStatus::received) ::_exit(0); // the keeper has ended
        auto order = ipc::decode<Spawn>(datagram.bytes, datagram.fds);
        if (!order || !order->channel) continue;
        const pid_t child = ::fork();
        if (child < 0) { // the channel closes here and tells the keeper
            log::Event("account.fork_failed", log::Level::error)
                .with("account", order->address)
                .with("error", error_text(errno));
        }
        if (child != 0) continue;
        ::close(orders);
        run_account_process(std::move(*order), mail, account_sandbox);
    }
}

} // namespace

Zygote Zygote::start(const sandbox::Identity& identity, int mail) {
    auto [mine, theirs] = socket_pair(SOCK_SEQPACKET);
    const pid_t child = ::fork();
    if (child < 0) throw_errno("fork");
    if (child == 0) {
        close_all_but({theirs.get(), mail, log::sink_fd()});
        run_zygote(theirs.get(), mail, identity);
    }
    return Zygote(std::move(mine));
}

bool Zygote::spawn(const Spawn& order) {
    ipc::Writer writer;
    writer(order);
    return send_datagram(socket_.get(), writer.bytes(), {}, writer.fds()) == SendStatus::sent;
}

} // namespace tambo::mailboxd

#include "mailboxd/zygote.h"

#include "common/base/limits.h"
#include "common/ipc/codec.h"
#include "common/sys/error.h"
#include "common/sys/fdpass.h"
#include "common/sys/log.h"
#include "common/sys/sandbox.h"
#include "common/sys/wait_status.h"
#include "mailboxd/account_process.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <unordered_map>
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

// Account processes and their directories: no addresses, for each child inherits the table.
using Running = std::unordered_map<pid_t, std::string>;

void reap(Running& running) {
    for (;;) {
        int status = 0;
        const pid_t pid = ::waitpid(-1, &status, WNOHANG);
        if (pid <= 0) return;
        const auto ended = running.extract(pid);
        if (status == 0 || ended.empty()) continue;
        log::Event("account.process_ended", log::Level::error)
            .with("directory", ended.mapped())
            .with("pid", int64_t{pid})
            .with("how", wait_status_text(status));
    }
}

// SIGCHLD comes only while this waits; elsewhere it is blocked.
void wait_for_order(int orders, Running& running) {
    sigset_t none;
    ::sigemptyset(&none);
    for (;;) {
        reap(running);
        pollfd waiting{orders, POLLIN, 0};
        if (::ppoll(&waiting, 1, nullptr, &none) > 0) return;
        if (errno != EINTR) throw_errno("ppoll");
    }
}

void set_child_signal(int how) {
    sigset_t child;
    ::sigemptyset(&child);
    ::sigaddset(&child, SIGCHLD);
    ::sigprocmask(how, &child, nullptr);
}

[[noreturn]] void run_zygote(int orders, int mail, const sandbox::Identity& identity) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    set_child_signal(SIG_BLOCK);
    std::signal(SIGCHLD, [](int) {}); // wakes
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
    Running running;
    for (;;) {
        wait_for_order(orders, running);
        Datagram datagram;
        const auto status =
            receive_datagram(orders, limits::ipc_message_bytes, limits::ipc_fds_max, datagram);
        if (status != ReceiveStatus::received) { // the keeper ends
            reap(running);
            ::_exit(0);
        }
        auto order = ipc::decode<Spawn>(datagram.bytes, datagram.fds);
        if (!order || !order->channel) continue;
        const pid_t child = ::fork();
        if (child < 0) { // the channel closes here and tells the keeper
            log::Event("account.fork_failed", log::Level::error)
                .with("account", order->address)
                .with("error", error_text(errno));
        }
        if (child > 0) running.emplace(child, order->directory());
        if (child != 0) continue;
        set_child_signal(SIG_UNBLOCK);
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

void Zygote::end() {
    ::shutdown(socket_.get(), SHUT_WR);
    pollfd waiting{socket_.get(), POLLIN, 0};
    ::poll(&waiting, 1, 1000);
}

} // namespace tambo::mailboxd

#include "common/net/connect.h"

#include "common/event/gate.h"
#include "common/sys/error.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace tambo::net {

task<UniqueFd> connect_to(Nursery& nursery, SocketAddress address, int64_t timeout_ms) {
    auto socket = co_await connect_from(nursery, SocketAddress(), address, timeout_ms);
    co_return std::move(socket);
}

task<UniqueFd> connect_from(Nursery& nursery, SocketAddress source, SocketAddress address,
                            int64_t timeout_ms) {
    const int family = address.is_v6() ? AF_INET6 : AF_INET;
    UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket.valid()) throw_errno("socket");
    sockaddr_storage storage{};
    auto* raw = reinterpret_cast<sockaddr*>(&storage);
    if (source.is_ip()) {
        const socklen_t source_size = source.to_sockaddr(&storage);
        if (::bind(socket.get(), raw, source_size) != 0) throw_errno("bind " + source.text());
    }
    const socklen_t size = address.to_sockaddr(&storage);
    if (::connect(socket.get(), raw, size) != 0) {
        if (errno != EINPROGRESS) throw_errno("connect " + address.text());
        Gate ready(nursery);
        FdWatch watch(nursery.loop(), socket.get(),
                      [](void* gate, unsigned) { static_cast<Gate*>(gate)->open(); }, &ready);
        watch.arm_write(0);
        const bool in_time = co_await ready.wait(timeout_ms);
        if (!in_time) throw TimedOut{};
        int error = 0;
        socklen_t error_size = sizeof error;
        ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &error_size);
        if (error != 0) throw_error(error, "connect " + address.text());
    }
    const int one = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    co_return std::move(socket);
}

} // namespace tambo::net

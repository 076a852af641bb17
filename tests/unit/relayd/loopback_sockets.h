// Sockets of several loopback addresses with one port. All are bound at once: whoever asks for them
// one after the other may find that a test beside it took the second address in between.
#pragma once

#include "common/base/unique_fd.h"
#include "common/net/address.h"
#include "common/sys/error.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <map>
#include <string>

namespace tambo::test {

// By address, 127.0.0.1 to 127.0.0.<count>; none of them listens yet. Throws SystemError.
inline std::map<std::string, UniqueFd> sockets_of_one_port(int count) {
    for (int tries = 1;; ++tries) {
        std::map<std::string, UniqueFd> sockets;
        uint16_t port = 0;
        for (int i = 1; i <= count; ++i) {
            const auto ip = "127.0.0." + std::to_string(i);
            UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            sockaddr_storage storage{};
            const socklen_t size = net::SocketAddress::parse(ip, port)->to_sockaddr(&storage);
            if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) break;
            port = net::SocketAddress::local_of(socket.get()).port();
            sockets.emplace(ip, std::move(socket));
        }
        if (sockets.size() == static_cast<size_t>(count)) return sockets;
        if (errno != EADDRINUSE || tries == 100) throw_errno("bind of scripted servers");
    }
}

} // namespace tambo::test

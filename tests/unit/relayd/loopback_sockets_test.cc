#include "tests/unit/relayd/loopback_sockets.h"

#include <catch2/catch.hpp>

namespace tambo::test {

TEST_CASE("sockets of one port: all have it, and nobody else gets one of their addresses") {
    const auto sockets = sockets_of_one_port(3);
    REQUIRE(sockets.size() == 3);
    const uint16_t port = net::SocketAddress::local_of(sockets.at("127.0.0.1").get()).port();
    for (const auto& [ip, socket] : sockets) {
        CAPTURE(ip);
        CHECK(net::SocketAddress::local_of(socket.get()).port() == port);
        sockaddr_storage storage{};
        const socklen_t size = net::SocketAddress::parse(ip, port)->to_sockaddr(&storage);
        UniqueFd other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        CHECK(::bind(other.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0);
        CHECK(errno == EADDRINUSE);
        UniqueFd visitor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        CHECK(::connect(visitor.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0);
        CHECK(errno == ECONNREFUSED);
    }
}

} // namespace tambo::test

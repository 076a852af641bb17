// A DNS server on a loopback port, UDP and TCP, that answers as a test says. Lives in the test's
// own loop.
#pragma once

#include "common/base/unique_fd.h"
#include "common/event/loop.h"
#include "common/sys/error.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tambo::test {

class ScriptedServer {
  public:
    // The messages to send back; none: silence.
    using Answer = std::function<std::vector<std::string>(const std::string& query, bool tcp)>;

    ScriptedServer(Loop& loop, Answer answer)
        : loop_(loop), answer_(std::move(answer)), udp_(bound(SOCK_DGRAM, 0)),
          tcp_(bound_beside()), udp_watch_(loop, udp_.get(), on_udp, this),
          tcp_watch_(loop, tcp_.get(), on_tcp, this) {
        ::listen(tcp_.get(), 16);
        udp_watch_.arm_read(0);
        tcp_watch_.arm_read(0);
    }

    uint16_t port() const {
        sockaddr_in address{};
        socklen_t size = sizeof address;
        ::getsockname(udp_.get(), reinterpret_cast<sockaddr*>(&address), &size);
        return ntohs(address.sin_port);
    }
    std::vector<std::string> udp_queries, tcp_queries;
    std::vector<uint16_t> client_ports; // of the UDP queries

  private:
    struct Connection {
        Connection(ScriptedServer& s, UniqueFd socket)
            : server(s), fd(std::move(socket)), watch(s.loop_, fd.get(), on_readable, this) {
            watch.arm_read(0);
        }
        ScriptedServer& server;
        UniqueFd fd;
        FdWatch watch;
        std::string received;
    };

    static UniqueFd bound(int type, uint16_t port) {
        UniqueFd fd(::socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        const int on = 1;
        ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
            if (port != 0 && errno == EADDRINUSE) return UniqueFd();
            throw_errno("bind of the scripted server");
        }
        return fd;
    }
    // TCP at the port of UDP, which somebody else may have there: then at another.
    UniqueFd bound_beside() {
        for (int tries = 0; tries < 100; ++tries) {
            UniqueFd fd = bound(SOCK_STREAM, port());
            if (fd) return fd;
            udp_ = bound(SOCK_DGRAM, 0);
        }
        throw_error(EADDRINUSE, "bind of the scripted server");
    }

    static void on_udp(void* self, unsigned) {
        auto* server = static_cast<ScriptedServer*>(self);
        std::string query(4096, '\0');
        sockaddr_in from{};
        socklen_t size = sizeof from;
        const auto got = ::recvfrom(server->udp_.get(), query.data(), query.size(), 0,
                                    reinterpret_cast<sockaddr*>(&from), &size);
        if (got < 0) return;
        query.resize(static_cast<size_t>(got));
        server->udp_queries.push_back(query);
        server->client_ports.push_back(ntohs(from.sin_port));
        for (const auto& message : server->answer_(query, false)) {
            ::sendto(server->udp_.get(), message.data(), message.size(), 0,
                     reinterpret_cast<sockaddr*>(&from), size);
        }
    }

    static void on_tcp(void* self, unsigned) {
        auto* server = static_cast<ScriptedServer*>(self);
        UniqueFd fd(::accept4(server->tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (fd)
            server->connections_.push_back(std::make_unique<Connection>(*server, std::move(fd)));
    }

    static void on_readable(void* context, unsigned) {
        auto* connection = static_cast<Connection*>(context);
        char bytes[4096];
        const auto got = ::read(connection->fd.get(), bytes, sizeof bytes);
        if (got <= 0) return connection->watch.disarm_read();
        auto& received = connection->received;
        received.append(bytes, static_cast<size_t>(got));
        if (received.size() < 2) return;
        const size_t wanted =
            2 + (static_cast<size_t>(static_cast<unsigned char>(received[0])) << 8 |
                 static_cast<unsigned char>(received[1]));
        if (received.size() < wanted) return;
        auto& server = connection->server;
        server.tcp_queries.push_back(received.substr(2, wanted - 2));
        for (const auto& message : server.answer_(server.tcp_queries.back(), true)) {
            std::string framed{static_cast<char>(message.size() >> 8 & 0xff),
                               static_cast<char>(message.size() & 0xff)};
            framed += message;
            size_t sent = 0; // a loopback socket takes 64 KiB after a moment
            for (int tries = 0; sent < framed.size() && tries < 1000; ++tries) {
                const auto n = ::send(connection->fd.get(), framed.data() + sent,
                                      framed.size() - sent, MSG_NOSIGNAL);
                if (n > 0) sent += static_cast<size_t>(n);
            }
        }
        received.clear();
    }

    Loop& loop_;
    Answer answer_;
    UniqueFd udp_, tcp_;
    FdWatch udp_watch_, tcp_watch_;
    std::vector<std::unique_ptr<Connection>> connections_;
};

} // namespace tambo::test

// imapd or pop3d without a process: its server, an authd that answers by the name it is given, and
// clients in clear over socket pairs. The test key has no certificate: TLS is not offered.
#pragma once

#include "common/event/loop.h"
#include "common/ipc/messages/authd.h"
#include "common/login/server.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"

#include <sys/socket.h>

#include <string>
#include <string_view>

namespace tambo::fuzz {

class LoginWorld {
  public:
    explicit LoginWorld(const login::Protocol& protocol)
        : service_(protocol, nursery_, authd_, random_), server_(service_),
          authd_side_(nursery_, "daemon") {
        service_.config.hostname = "mail.example.test";
        service_.config.generation_ms = INT64_MAX / 2;
        service_.config.generation_connections = INT64_MAX;
        service_.config.sessions_max = 100;
        authd_side_.on<ipc::ConnectionOpened>(*this, &LoginWorld::opened);
        authd_side_.on<ipc::ConnectionClosed>(*this, &LoginWorld::closed);
        auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
        authd_.attach(std::move(ours));
        authd_side_.attach(std::move(theirs));
    }

    // Everything that was said to a client that sends this, cut at each byte 0xfe.
    std::string talk(std::string_view input) {
        auto [client, theirs] = socket_pair(SOCK_STREAM);
        set_nonblocking(theirs.get());
        server_.accept(std::move(theirs), *net::SocketAddress::parse("192.0.2.7", 4711),
                       login::Door::clear);
        std::string said;
        turn_some(client.get(), said);
        while (!input.empty()) {
            const size_t end = std::min(input.find('\xfe'), input.size());
            static_cast<void>(::send(client.get(), input.data(), end, MSG_NOSIGNAL | MSG_DONTWAIT));
            turn_some(client.get(), said);
            input.remove_prefix(std::min(end + 1, input.size()));
        }
        client.reset();
        while (!service_.connections.empty())
            turn();
        return said;
    }

  private:
    void turn() {
        loop_.post([this] { loop_.stop(); });
        loop_.run();
    }
    void turn_some(int fd, std::string& said) {
        char buffer[65536];
        for (int i = 0; i < 6; ++i) {
            turn();
            for (ssize_t n; (n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
                said.append(buffer, static_cast<size_t>(n));
        }
    }
    task<ipc::ConnectionVerdict> opened(ipc::ConnectionOpened) { co_return {}; }
    void closed(ipc::ConnectionClosed) {}

    Loop loop_;
    Nursery nursery_{loop_};
    SystemRandom random_;
    ipc::Channel authd_{nursery_, "authd"};
    login::Service service_;
    login::Server server_;
    ipc::Channel authd_side_;
};

} // namespace tambo::fuzz

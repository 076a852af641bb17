// What imapd and pop3d share before the login, without a process: the server, an authd that the
// test scripts, and clients over socket pairs. The test turns the loop by hand.
#pragma once

#include "common/login/server.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "tests/unit/login/client.h"
#include "tests/unit/login/fake_authd.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::login::test {

struct Fixture {
    // alpn: the name of the protocol, which is that of the service, too.
    Fixture(const Protocol& protocol, const std::string& alpn)
        : authd_channel(nursery, "authd"), service(protocol, nursery, authd_channel, random) {
        auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
        authd_channel.attach(std::move(ours));
        authd.emplace(nursery, std::move(theirs));
        service.config.hostname = "mail.example.test";
        service.config.generation_ms = 600'000;
        service.config.generation_connections = 512;
        service.config.sessions_max = 2000;
        auto tls = tambo::test::server_config(tambo::test::ec_key());
        tls.service = alpn;
        tls.alpn = {alpn};
        service.tls = tambo::test::server_context(tls);
        server.emplace(service);
    }
    ~Fixture() {
        service.on_connection_ended = nullptr;
        nursery.cancel();
    }
    Fixture(const Fixture&) = delete;

    std::unique_ptr<Client> connect(Door door = Door::clear, const char* ip = "192.0.2.7") {
        auto [ours, theirs] = socket_pair(SOCK_STREAM);
        set_nonblocking(ours.get());
        set_nonblocking(theirs.get());
        server->accept(std::move(theirs), *net::SocketAddress::parse(ip, 4711), door);
        return std::make_unique<Client>(loop, std::move(ours));
    }
    std::unique_ptr<Client> connect_tls() {
        auto client = connect(Door::tls);
        REQUIRE(client->start_tls());
        client->settle();
        return client;
    }
    // A client whose login, in these words, was accepted, and the end that the account process
    // would have.
    std::unique_ptr<Client> log_in(std::string_view words, std::optional<Client>& session) {
        auto client = connect_tls();
        authd->answer(ipc::SaslState::accepted);
        client->received.clear();
        client->send(words);
        client->settle();
        REQUIRE(authd->starts.size() >= 1);
        auto fd = std::move(authd->starts.back().session);
        REQUIRE(fd.valid());
        set_nonblocking(fd.get());
        session.emplace(loop, std::move(fd));
        return client;
    }

    // Until what was told to authd has come there.
    void turn_some() {
        for (int i = 0; i < 10; ++i)
            turn(loop);
    }

    Loop loop;
    Nursery nursery{loop};
    SystemRandom random;
    ipc::Channel authd_channel;
    std::optional<FakeAuthd> authd;
    Service service;
    std::optional<Server> server;
};

} // namespace tambo::login::test

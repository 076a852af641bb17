// A whole authd in one process: a real directory with the accounts alice and bob, the daemon that
// asks on a socket pair, and a keeper that notes what it is told.
#pragma once

#include "authd/peer.h"
#include "authd/service.h"
#include "common/base/text.h"
#include "common/sys/clock.h"
#include "common/sys/fdpass.h"

#include <catch2/catch.hpp>

#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tambo::authd::test {

struct TestClock final : Clock {
    int64_t ms = 1'000'000'000'000;
    UtcTime now() override { return UtcTime{ms}; }
    int64_t monotonic_ms() override { return ms; }
};

inline conf::AuthdConfig config() {
    conf::AuthdConfig c;
    c.hostname = "mail.example.test";
    c.plus_separator = "+";
    c.connections_per_address = 3;
    c.connection_rate_per_minute = 5;
    c.sessions_per_login_per_address = 2;
    c.login_failures_per_address = 4;
    c.login_failure_window_ms = 600'000;
    c.login_delay_max_ms = 4'000;
    c.messages_per_login_per_day = 2;
    c.recipients_per_login_per_day = 10;
    return c;
}

inline std::string temporary_directory() {
    char path[] = "/tmp/tambo-authd-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    return path;
}

struct Keeper {
    Id attached;
    ipc::Service service = ipc::Service::local;
    bool attaches = true;
    std::string reason = "busy";
    std::vector<Id> kicked;    // since the last session
    std::vector<Id> changed{}; // nil: any may have
    std::function<void()> before_answer;
    std::string protocol_bytes;
    task<ipc::AttachAnswer> attach(ipc::AttachSession message) {
        attached = message.account;
        kicked.clear();
        if (before_answer) before_answer();
        service = message.service;
        protocol_bytes = message.client.valid() ? "fd" : "none";
        co_return ipc::AttachAnswer{attaches, attaches ? "" : reason};
    }
    void kick(ipc::KickAccount message) { kicked.push_back(message.account); }
    void account_changed(ipc::AccountChanged message) { changed.push_back(message.account); }
};

struct Suite {
    std::string dir = temporary_directory();
    TestClock clock;
    Loop loop;
    std::optional<Directory> directory{std::in_place, dir + "/accounts.db", clock};
    std::optional<Workers> workers{std::in_place, loop, 1};
    Nursery nursery{loop};
    std::optional<Service> service{std::in_place, nursery, *directory, *workers, clock, config()};
    ipc::Channel client{nursery, "authd"}, server;
    ipc::Channel keeper_end{nursery, "authd"};
    Keeper keeper;
    std::optional<Peer> peer;

    // peer_name: as master gives it, the class of the daemon that asks.
    explicit Suite(const std::string& peer_name = "imapd.0") : server(nursery, peer_name) {
        peer.emplace(*service, server);
        auto [a, b] = socket_pair(SOCK_SEQPACKET);
        client.attach(std::move(a));
        server.attach(std::move(b));
        auto [c, d] = socket_pair(SOCK_SEQPACKET);
        keeper_end.on<ipc::AttachSession>(keeper, &Keeper::attach);
        keeper_end.on<ipc::KickAccount>(keeper, &Keeper::kick);
        keeper_end.on<ipc::AccountChanged>(keeper, &Keeper::account_changed);
        service->keeper().attach(std::move(c));
        keeper_end.attach(std::move(d));
        directory->add_domain("example.test");
        add("alice", 1);
        add("bob", 2);
    }
    ~Suite() {
        nursery.cancel();
        peer.reset();
        service.reset();
        workers.reset();
        directory.reset();
        std::filesystem::remove_all(dir);
    }
    void add(const std::string& local, uint64_t id) {
        Account account;
        account.id = Id{0, id};
        account.local = local;
        account.domain = "example.test";
        account.address = local + "@example.test";
        Credential credential;
        credential.kind = kArgon2id;
        credential.verifier = hash_password(local + "-secret");
        credential.scope = "*";
        REQUIRE(directory->add_account(account, credential));
    }
    void set_password(uint64_t id, const std::string& password) {
        Credential credential;
        credential.kind = kArgon2id;
        credential.verifier = hash_password(password);
        credential.scope = "*";
        directory->set_credential(Id{0, id}, credential);
    }
};

inline task<> log_in(Suite& s,
                     std::string message,
                     ipc::SaslAnswer& out,
                     std::string sid = "",
                     std::string ip = "192.0.2.9") {
    auto [mine, theirs] = socket_pair(SOCK_STREAM);
    ipc::SaslStart start;
    start.service = ipc::Service::imap;
    start.sid = std::move(sid);
    start.mechanism = "PLAIN";
    start.has_initial = true;
    start.initial = std::move(message);
    start.client_ip = std::move(ip);
    start.session = std::move(theirs);
    out = co_await s.client.call(std::move(start));
    s.loop.stop();
}

inline ipc::SaslAnswer log_in(Suite& s, const std::string& user, const std::string& password) {
    ipc::SaslAnswer answer;
    s.nursery.spawn(
        log_in(s, std::string(1, '\0') + user + std::string(1, '\0') + password, answer));
    s.loop.run();
    return answer;
}

// Alice's or bob's, with the right password; why it did not succeed, or "".
inline std::string log_in_as(Suite& s,
                             const std::string& local,
                             const std::string& sid,
                             const std::string& ip = "192.0.2.9") {
    ipc::SaslAnswer answer;
    s.nursery.spawn(
        log_in(s, cat('\0', local, "@example.test", '\0', local, "-secret"), answer, sid, ip));
    s.loop.run();
    if (answer.state == ipc::SaslState::accepted) return "";
    CHECK(answer.state == ipc::SaslState::unavailable);
    return answer.reason;
}

inline void settle(Suite& s) {
    for (int i = 0; i < 10; ++i) {
        s.loop.post([&s] { s.loop.stop(); });
        s.loop.run();
    }
}

} // namespace tambo::authd::test

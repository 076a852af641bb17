// How many sessions a login may have from one address, and when one of them is over.
#include "tests/unit/authd/service_fixture.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::authd;
using namespace tambo::authd::test;

TEST_CASE("sessions of a login from one address are limited while they last") {
    Suite s;
    CHECK(log_in_as(s, "alice", "a1") == "");
    CHECK(log_in_as(s, "alice", "a2") == "");
    s.keeper.attached = Id{};
    CHECK(log_in_as(s, "alice", "a3") == "sessions");
    CHECK(s.keeper.attached.is_nil());
    CHECK(log_in_as(s, "bob", "b1") == "");
    CHECK(log_in_as(s, "alice", "a4", "192.0.2.10") == "");
    s.client.send(ipc::SessionEnded{"a3"}); // nobody counted that one
    settle(s);
    CHECK(log_in_as(s, "alice", "a5") == "sessions");
    s.client.send(ipc::SessionEnded{"a1"});
    s.client.send(ipc::SessionEnded{"a1"}); // once is enough
    settle(s);
    CHECK(log_in_as(s, "alice", "a6") == "");
    CHECK(log_in_as(s, "alice", "a7") == "sessions");
}

TEST_CASE("a session that nobody serves is not counted") {
    Suite s;
    s.keeper.attaches = false;
    for (int i = 0; i < 5; ++i)
        CHECK(log_in_as(s, "alice", cat("s", i)) == "busy");
    s.keeper.attaches = true;
    CHECK(log_in_as(s, "alice", "a1") == "");
    CHECK(log_in_as(s, "alice", "a1") == ""); // the same connection: still one
    CHECK(log_in_as(s, "alice", "a2") == "");
    CHECK(log_in_as(s, "alice", "a3") == "sessions");
}

TEST_CASE("the sessions of a daemon end with it") {
    Suite s;
    CHECK(log_in_as(s, "alice", "a1") == "");
    CHECK(log_in_as(s, "alice", "a2") == "");
    s.client.drop("test");
    settle(s);
    auto [a, b] = socket_pair(SOCK_SEQPACKET);
    s.client.attach(std::move(a));
    s.server.attach(std::move(b));
    CHECK(log_in_as(s, "alice", "a3") == "");
    CHECK(log_in_as(s, "alice", "a4") == "");
    CHECK(log_in_as(s, "alice", "a5") == "sessions");
}

TEST_CASE("sessions from this machine are limited only when asked for") {
    Suite s;
    for (int i = 0; i < 5; ++i)
        CHECK(log_in_as(s, "alice", cat("a", i), "127.0.0.1") == "");
    conf::AuthdConfig everywhere = config();
    everywhere.limits_on_loopback = true;
    everywhere.sessions_per_login_per_address = 6;
    s.service->configure(everywhere);
    CHECK(log_in_as(s, "alice", "a5", "127.0.0.1") == "");
    CHECK(log_in_as(s, "alice", "a6", "127.0.0.1") == "sessions"); // the older ones count, too
}

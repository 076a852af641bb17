#include "tests/unit/imapd/harness.h"

#include "common/base/text.h"

using namespace tambo;
using namespace tambo::imapd;

TEST_CASE_METHOD(Fixture, "bytes are carried both ways, whatever they are") {
    std::optional<Client> session;
    auto client = log_in(session);
    CHECK(client->received.empty());
    std::string every;
    for (int i = 0; i < 1024; ++i)
        every.push_back(static_cast<char>(i));
    client->send(every);
    CHECK(session->said() == every);
    session->send(every);
    CHECK(client->said() == every);
}

TEST_CASE_METHOD(Fixture, "D9: the account process waits for a client that does not read") {
    std::optional<Client> session;
    auto client = log_in(session);
    std::string chunk(16 * 1024, 'x');
    size_t taken = 0;
    for (int idle = 0; idle < 20;) {
        const size_t n = session->send_some(chunk);
        taken += n;
        idle = n == 0 ? idle + 1 : 0;
        turn(loop);
    }
    CHECK(taken < 2u << 20); // what two sockets and one piece hold
    for (int i = 0; i < 10'000 && client->received.size() < taken; ++i)
        client->settle();
    CHECK(client->received.size() == taken);
    size_t back = 0;
    for (int idle = 0; idle < 20;) {
        const size_t n = client->send_some(chunk);
        back += n;
        idle = n == 0 ? idle + 1 : 0;
        turn(loop);
    }
    CHECK(back < 2u << 20);
    for (int i = 0; i < 10'000 && session->received.size() < back; ++i)
        session->settle();
    CHECK(session->received.size() == back);
}

TEST_CASE_METHOD(Fixture, "a lost session is told, a session's own BYE is enough") {
    std::optional<Client> session;
    auto client = log_in(session);
    session->send("x OK Logged in\r\n");
    session->hang_up();
    CHECK(client->said() == "x OK Logged in\r\n"
                            "* BYE [UNAVAILABLE] The session has ended, connect again\r\n");
    CHECK(client->closed);

    auto other = log_in(session);
    other->send("y LOGOUT\r\n");
    CHECK(session->said() == "y LOGOUT\r\n");
    session->send("* BYE Logging out\r\ny OK Logout completed\r\n");
    session->hang_up();
    CHECK(other->said() == "* BYE Logging out\r\ny OK Logout completed\r\n");
    CHECK(other->closed);
    other->hang_up();
    client->hang_up();
    for (int i = 0; i < 10; ++i)
        turn(loop);
    CHECK(service.connections.empty());
    CHECK(authd->closed_count == 2);
}

TEST_CASE_METHOD(Fixture, "a client that leaves ends its session") {
    std::optional<Client> session;
    auto client = log_in(session);
    client->send("a NOOP\r\n");
    client->hang_up();
    session->settle();
    CHECK(session->received == "a NOOP\r\n");
    CHECK(session->closed);
    session->hang_up();
    for (int i = 0; i < 10; ++i)
        turn(loop);
    CHECK(service.connections.empty());
}

TEST_CASE_METHOD(Fixture, "a slow download is not silence") {
    service.pace.stalled_ms = 40;
    std::optional<Client> session;
    auto client = log_in(session);
    for (int i = 0; i < 20; ++i) { // five times as long as the client may be silent
        session->send("x");
        client->settle();
        ::usleep(10'000);
    }
    CHECK(client->received == std::string(20, 'x'));
    CHECK_FALSE(client->closed);
    session->take();
    CHECK_FALSE(session->closed);
}

TEST_CASE_METHOD(Fixture, "silence in both directions ends a session") {
    service.pace.stalled_ms = 40;
    std::optional<Client> session;
    auto client = log_in(session);
    for (int i = 0; i < 2000 && !session->closed; ++i) {
        session->settle();
        ::usleep(1000);
    }
    CHECK(session->closed);
}

TEST_CASE_METHOD(Fixture, "a process that ends in the middle of everything ends cleanly") {
    std::optional<Client> session, other_session;
    auto client = log_in(session);
    auto other = log_in(other_session);
    auto waiting = connect();
    waiting->said();
    session->send_some(std::string(1 << 20, 'x'));
    turn(loop);
    service.on_connection_ended = nullptr;
    nursery.cancel();
    CHECK(service.connections.empty());
    CHECK(nursery.size() == 0);
}

TEST_CASE_METHOD(Fixture, "a generation ends after so many connections") {
    service.config.generation_connections = 2;
    std::optional<uint32_t> retired;
    bool finished = false;
    server->on_retired = [&](uint32_t connections) { retired = connections; };
    server->on_finished = [&] { finished = true; };
    auto [ours, theirs] = socket_pair(SOCK_STREAM); // stands for a listening socket
    CHECK(server->listen("imap", std::move(ours)));
    CHECK_FALSE(server->listen("smtp", std::move(theirs)));
    auto first = connect();
    CHECK_FALSE(retired.has_value());
    std::optional<Client> session;
    auto second = log_in(session);
    CHECK(retired == 2u);
    CHECK_FALSE(server->accepting());
    first->hang_up();
    for (int i = 0; i < 10; ++i)
        turn(loop);
    CHECK_FALSE(finished); // the session goes on
    session->send("* 1 EXISTS\r\n");
    CHECK(second->said() == "* 1 EXISTS\r\n");
    second->hang_up();
    session->settle();
    session->hang_up();
    for (int i = 0; i < 10; ++i)
        turn(loop);
    CHECK(finished);
}

TEST_CASE_METHOD(Fixture, "a generation ends after a time that its first connection begins") {
    service.config.generation_ms = 10;
    bool retired = false;
    server->on_retired = [&](uint32_t) { retired = true; };
    ::usleep(15'000);
    turn(loop);
    CHECK_FALSE(retired);
    auto client = connect();
    for (int i = 0; i < 1000 && !retired; ++i) {
        turn(loop);
        ::usleep(1000);
    }
    CHECK(retired);
}

TEST_CASE_METHOD(Fixture, "draining lets sessions end, then tells them to") {
    bool finished = false;
    server->on_finished = [&] { finished = true; };
    std::optional<Client> session;
    auto client = log_in(session);
    server->drain(10);
    for (int i = 0; i < 2000 && !client->closed; ++i) {
        client->settle();
        ::usleep(1000);
    }
    CHECK(client->received == "* BYE [UNAVAILABLE] The session has ended, connect again\r\n");
    client->hang_up();
    for (int i = 0; i < 2000 && !finished; ++i) {
        turn(loop);
        ::usleep(1000);
    }
    CHECK(finished);
}

TEST_CASE_METHOD(Fixture, "draining ends a quiet session soon, and one with a command later") {
    service.pace.quiet_ms = 60;
    std::optional<Client> quiet_session, busy_session;
    auto quiet = log_in(quiet_session);
    quiet_session->send("x OK Logged in\r\n");
    CHECK(quiet->said() == "x OK Logged in\r\n");
    auto busy = log_in(busy_session);
    busy_session->send("x OK Logged in\r\n");
    CHECK(busy->said() == "x OK Logged in\r\n");
    busy->send("1 NOOP\r\n");
    busy->settle();
    server->drain(60'000);
    for (int i = 0; i < 3000 && !quiet->closed; ++i) {
        quiet->settle();
        ::usleep(1000);
    }
    CHECK(quiet->received == "* BYE [UNAVAILABLE] The session has ended, connect again\r\n");
    busy->settle();
    CHECK_FALSE(busy->closed);
    CHECK(busy_session->said() == "1 NOOP\r\n");
    busy_session->send("1 OK\r\n");
    for (int i = 0; i < 3000 && !busy->closed; ++i) {
        busy->settle();
        ::usleep(1000);
    }
    CHECK(busy->received == "1 OK\r\n* BYE [UNAVAILABLE] The session has ended, connect again\r\n");
}

TEST_CASE_METHOD(Fixture, "there is a limit of connections") {
    service.config.sessions_max = 1;
    auto first = connect();
    CHECK(first->said() == kPlainGreeting);
    auto second = connect();
    CHECK(second->said() == "* BYE [UNAVAILABLE] Too many connections\r\n");
    CHECK(second->closed);
    auto third = connect(Door::tls);
    third->settle();
    CHECK(third->closed);
}

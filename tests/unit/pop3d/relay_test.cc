#include "common/base/text.h"
#include "tests/unit/pop3d/harness.h"

using namespace tambo;
using namespace tambo::pop3d;

TEST_CASE_METHOD(Fixture, "bytes are carried both ways, whatever they are") {
    std::optional<Client> session;
    auto client = log_in(session);
    CHECK(client->said().empty());
    std::string every;
    for (int i = 0; i < 1024; ++i)
        every.push_back(static_cast<char>(i));
    client->send(every);
    CHECK(session->said() == every);
    session->send(every);
    CHECK(client->said() == every);
}

TEST_CASE_METHOD(Fixture, "what is pipelined behind PASS or AUTH reaches the session") {
    for (const std::string login : {"USER alice\r\nPASS secret\r\n", "AUTH PLAIN AGEAYg==\r\n"}) {
        auto client = connect_tls();
        client->said();
        authd->answer(ipc::SaslState::accepted);
        client->send(login + "STAT\r\nQUIT\r\n");
        client->settle();
        REQUIRE(authd->starts.back().session.valid());
        Client session(loop, std::move(authd->starts.back().session));
        set_nonblocking(session.fd());
        CHECK(session.said() == "STAT\r\nQUIT\r\n");
        session.send("+OK maildrop ready, 0 messages\r\n+OK 0 0\r\n+OK good-bye\r\n");
        session.hang_up();
        CHECK(client->said().ends_with(
            "+OK maildrop ready, 0 messages\r\n+OK 0 0\r\n+OK good-bye\r\n"));
        CHECK(client->closed);
    }
}

TEST_CASE_METHOD(Fixture, "D9: the account process waits for a client that does not read") {
    std::optional<Client> session;
    auto client = log_in(session);
    const std::string chunk(16 * 1024, 'x');
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

TEST_CASE_METHOD(Fixture, "a login that no session answers is answered here") {
    std::optional<Client> session;
    auto client = log_in(session);
    session->hang_up();
    CHECK(client->said() == "-ERR [SYS/TEMP] try again later\r\n");
    CHECK(client->closed);

    auto other = log_in(session);
    session->send("+OK maildrop ready, 0 messages\r\n");
    session->hang_up();
    CHECK(other->said() == "+OK maildrop ready, 0 messages\r\n"); // and no word more
    CHECK(other->closed);
}

TEST_CASE_METHOD(Fixture, "a client that goes ends the session, which may still speak") {
    std::optional<Client> session;
    auto client = log_in(session);
    session->send("+OK maildrop ready, 0 messages\r\n");
    client->settle();
    client->hang_up();
    session->settle();
    CHECK(session->closed);
    session->hang_up();
    turn_some();
    CHECK(service.connections.empty());
    CHECK(nursery.size() == 0);
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

// ---- generations

TEST_CASE_METHOD(Fixture, "a generation ends with its last connection") {
    service.config.generation_connections = 2;
    std::vector<uint32_t> retired;
    int finished = 0;
    server->on_retired = [&](uint32_t connections) { retired.push_back(connections); };
    server->on_finished = [&] { ++finished; };
    std::optional<Client> session;
    auto client = log_in(session);
    CHECK(server->accepting());
    auto second = connect();
    CHECK(second->said() == kGreeting);
    CHECK_FALSE(server->accepting());
    CHECK(retired == std::vector<uint32_t>{2});
    CHECK(second->ask("QUIT\r\n") == "+OK good-bye\r\n");
    second->hang_up();
    session->send("+OK maildrop ready, 0 messages\r\n"); // the older session goes on
    CHECK(client->said() == "+OK maildrop ready, 0 messages\r\n");
    CHECK(finished == 0);
    session->hang_up();
    client->settle();
    client->hang_up();
    turn_some();
    CHECK(finished == 1);
    CHECK(retired.size() == 1);
}

TEST_CASE_METHOD(Fixture, "a generation ends after its time") {
    service.config.generation_ms = 20;
    int retired = 0;
    server->on_retired = [&](uint32_t) { ++retired; };
    auto client = connect();
    for (int i = 0; i < 500 && retired == 0; ++i) {
        ::usleep(1000);
        turn(loop);
    }
    CHECK(retired == 1);
    CHECK_FALSE(server->accepting());
    CHECK(client->said() == kGreeting);
}

TEST_CASE_METHOD(Fixture, "draining waits for the sessions, but not for ever") {
    int finished = 0;
    server->on_finished = [&] { ++finished; };
    std::optional<Client> session;
    auto client = log_in(session);
    server->drain(20);
    CHECK(finished == 0);
    for (int i = 0; i < 3000 && !client->closed; ++i) {
        ::usleep(1000);
        turn(loop);
        client->take();
    }
    CHECK(client->closed);
    client->hang_up();
    for (int i = 0; i < 3000 && finished == 0; ++i) {
        ::usleep(1000);
        turn(loop);
    }
    CHECK(finished >= 1);
}

TEST_CASE_METHOD(Fixture, "too many connections at a time") {
    service.config.sessions_max = 1;
    auto first = connect();
    CHECK(first->said() == kGreeting);
    auto second = connect();
    CHECK(second->said() == "-ERR [SYS/TEMP] too many connections\r\n");
    CHECK(second->closed);
}

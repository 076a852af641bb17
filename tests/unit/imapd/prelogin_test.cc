#include "tests/unit/imapd/harness.h"

#include "common/base/base64.h"
#include "common/base/text.h"

using namespace tambo;
using namespace tambo::imapd;

TEST_CASE_METHOD(Fixture, "before TLS there is no login") {
    auto client = connect();
    CHECK(client->said() == kPlainGreeting);
    CHECK(client->ask("a CAPABILITY\r\n") ==
          "* CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE UNSELECT "
          "SPECIAL-USE CHILDREN LIST-EXTENDED SASL-IR STARTTLS LOGINDISABLED\r\n"
          "a OK Capability completed\r\n");
    CHECK(client->ask("b LOGIN alice secret\r\n") == "b NO [PRIVACYREQUIRED] start TLS first\r\n");
    CHECK(client->ask("c AUTHENTICATE PLAIN AGEAYg==\r\n") ==
          "c NO [PRIVACYREQUIRED] start TLS first\r\n");
    CHECK(client->ask("d ID NIL\r\ne NOOP\r\n") ==
          "* ID (\"name\" \"Tambo\")\r\nd OK ID completed\r\ne OK Completed\r\n");
    CHECK(client->ask("f SELECT INBOX\r\n") == "f BAD no such command before the login\r\n");
    CHECK(client->ask("g LOGOUT\r\n") == "* BYE Logging out\r\ng OK Logout completed\r\n");
    CHECK(client->closed);
    CHECK(authd->starts.empty());
}

TEST_CASE_METHOD(Fixture, "loopback is no exception") {
    auto client = connect(Door::clear, "127.0.0.1");
    client->said();
    CHECK(client->ask("b LOGIN alice secret\r\n") == "b NO [PRIVACYREQUIRED] start TLS first\r\n");
    CHECK(authd->opened_count == 0); // limits do not count it
}

TEST_CASE_METHOD(Fixture, "STARTTLS, then a login that goes to the account process") {
    auto client = connect();
    client->said();
    CHECK(client->ask("a STARTTLS\r\n") == "a OK Begin TLS\r\n");
    REQUIRE(client->start_tls());
    CHECK(client->ask("b CAPABILITY\r\n") ==
          "* CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE UNSELECT "
          "SPECIAL-USE CHILDREN LIST-EXTENDED SASL-IR AUTH=PLAIN AUTH=LOGIN\r\n"
          "b OK Capability completed\r\n");
    CHECK(client->ask("c STARTTLS\r\n") == "c BAD TLS is active\r\n");
    authd->answer(ipc::SaslState::accepted);
    CHECK(client->ask("d1 LOGIN alice {6+}\r\nse\"cre\r\ne SELECT INBOX\r\n") == "");
    REQUIRE(authd->starts.size() == 1);
    const ipc::SaslStart& start = authd->starts[0];
    CHECK(start.service == ipc::Service::imap);
    CHECK(start.mechanism == "PLAIN");
    CHECK(start.has_initial);
    CHECK(start.initial == std::string("\0alice\0se\"cre", 13));
    CHECK(start.client_ip == "192.0.2.7");
    CHECK(start.client_port == 4711);
    CHECK(start.tls == "TLSv1.3");
    CHECK(start.channel_binding.size() == 32);
    CHECK(start.session_hint == "d1");
    CHECK(start.sid.size() == 26);
    Client session(loop, std::move(authd->starts[0].session));
    set_nonblocking(session.fd());
    CHECK(session.said() == "e SELECT INBOX\r\n");
    session.send("d1 OK Logged in\r\ne OK\r\n");
    CHECK(client->said() == "d1 OK Logged in\r\ne OK\r\n");
}

TEST_CASE_METHOD(Fixture, "F7: bytes behind STARTTLS, at every place of a cut") {
    const std::string_view injected = "a STARTTLS\r\nb NOOP\r\n";
    for (size_t cut = 0; cut <= injected.size(); ++cut) {
        INFO(cut);
        auto client = connect();
        client->said();
        client->send(injected.substr(0, cut));
        if (cut != 12) turn(loop); // what is behind the line end stays with it
        client->send(injected.substr(cut));
        const auto said = client->said();
        CHECK(said.find("b OK") == std::string::npos);
        CHECK(said.find("b BAD") == std::string::npos);
        CHECK((client->closed || said == "a OK Begin TLS\r\n"));
        if (cut < 12)
            CHECK(said == "a BAD bytes behind STARTTLS\r\n* BYE bytes behind STARTTLS\r\n");
    }
}

TEST_CASE_METHOD(Fixture, "AUTHENTICATE carries SASL messages and understands none") {
    auto client = connect_tls();
    client->received.clear();
    authd->answer(ipc::SaslState::challenge, "Username:");
    authd->answer(ipc::SaslState::challenge, "Password:");
    authd->answer(ipc::SaslState::refused, "", "badpass");
    CHECK(client->ask("a AUTHENTICATE LOGIN\r\n") == "+ VXNlcm5hbWU6\r\n");
    CHECK(client->ask("YWxpY2U=\r\n") == "+ UGFzc3dvcmQ6\r\n");
    CHECK(client->ask("eA==\r\n") == "a NO [AUTHENTICATIONFAILED] authentication failed\r\n");
    CHECK_FALSE(authd->starts[0].has_initial);
    CHECK(authd->responses == std::vector<std::string>{"alice", "x"});
    CHECK(authd->aborts == 0);

    authd->answer(ipc::SaslState::challenge, "");
    CHECK(client->ask("b AUTHENTICATE PLAIN\r\n") == "+ \r\n");
    CHECK(client->ask("*\r\n") == "b BAD cancelled\r\n");
    CHECK(authd->aborts == 1);
    authd->answer(ipc::SaslState::challenge, "");
    CHECK(client->ask("c AUTHENTICATE PLAIN\r\n") == "+ \r\n");
    CHECK(client->ask("\r\n") == "c NO [UNAVAILABLE] try again later\r\n"); // empty is a response
    CHECK(authd->responses.back().empty());
    authd->answer(ipc::SaslState::accepted);
    CHECK(client->ask("d authenticate plain =\r\n") == "");
    CHECK(authd->starts.back().has_initial);
    CHECK(authd->starts.back().initial.empty());
}

TEST_CASE_METHOD(Fixture, "a client that leaves in the middle of SASL is told to authd") {
    auto client = connect_tls();
    authd->answer(ipc::SaslState::challenge, "");
    CHECK(client->ask("b AUTHENTICATE PLAIN\r\n").ends_with("+ \r\n"));
    client->hang_up();
    for (int i = 0; i < 10; ++i)
        turn(loop);
    CHECK(authd->aborts == 1);
    CHECK(authd->closed_count == 1);
    CHECK(service.connections.empty());
}

TEST_CASE_METHOD(Fixture, "three failed logins, or three bad commands, end the connection") {
    auto client = connect_tls();
    for (int i = 0; i < 3; ++i)
        authd->answer(ipc::SaslState::refused, "", "nouser");
    const std::string no = " NO [AUTHENTICATIONFAILED] authentication failed\r\n";
    client->received.clear();
    CHECK(client->ask("1 LOGIN a b\r\n2 LOGIN a b\r\n3 LOGIN a b\r\n4 LOGIN a b\r\n") ==
          "1" + no + "2" + no + "3" + no + "* BYE too many failed logins\r\n");
    CHECK(client->closed);
    auto other = connect();
    other->said();
    CHECK(other->ask("1 X\r\n2 LOGIN x\r\n3 AUTHENTICATE PLAIN !\r\n4 NOOP\r\n") ==
          "1 BAD no such command before the login\r\n2 BAD a blank is missing\r\n"
          "3 BAD that is not base64\r\n* BYE too many bad commands\r\n");
    CHECK(other->closed);
}

// RULES.md D12.
TEST_CASE_METHOD(Fixture, "commands that lead nowhere are counted") {
    auto client = connect();
    client->said();
    std::string noop;
    for (int i = 0; i < limits::commands_prelogin; ++i)
        noop += "a NOOP\r\n";
    client->ask(noop);
    CHECK_FALSE(client->closed);
    CHECK(client->ask("b NOOP\r\n") == "* BYE too many commands before the login\r\n");
    CHECK(client->closed);
}

TEST_CASE_METHOD(Fixture, "authd may be throttling, or away") {
    auto client = connect_tls();
    client->received.clear();
    authd->answer(ipc::SaslState::unavailable, "", "busy");
    CHECK(client->ask("a LOGIN x y\r\n") == "a NO [UNAVAILABLE] try again later\r\n");
    authd->answer(ipc::SaslState::unavailable, "", "throttled");
    CHECK(client->ask("b LOGIN x y\r\n") ==
          "b NO [UNAVAILABLE] try again later\r\n* BYE too many failed logins\r\n");
    auto other = connect_tls();
    other->received.clear();
    other->send("a AUTHENTICATE PLAIN\r\n");
    authd->answer(ipc::SaslState::challenge, "");
    CHECK(other->said() == "+ \r\n");
    authd->drop();
    CHECK(other->ask("AGEAYg==\r\n").starts_with(""));
}

TEST_CASE_METHOD(Fixture, "a login with too many sessions is told so, and may try again") {
    auto client = connect_tls();
    client->received.clear();
    for (int i = 0; i < limits::bad_commands_prelogin; ++i) {
        authd->answer(ipc::SaslState::unavailable, "", "sessions");
        CHECK(client->ask("a LOGIN x y\r\n") ==
              "a NO [LIMIT] too many sessions of this login from your address\r\n");
    }
    authd->answer(ipc::SaslState::accepted);
    CHECK(client->ask("b LOGIN x y\r\n") == "");
    CHECK(authd->starts.back().session.valid());
}

TEST_CASE_METHOD(Fixture, "authd hears of the end of each connection that may have a session") {
    auto stranger = connect_tls();
    std::optional<Client> session;
    auto client = log_in(session);
    const std::string sid = authd->starts.back().sid;
    stranger->hang_up();
    client->settle();
    CHECK(authd->ended_sids.empty());
    client->hang_up();
    session->settle();
    session->hang_up();
    for (int i = 0; i < 10; ++i)
        turn(loop);
    CHECK(authd->ended_sids == std::vector<std::string>{sid});

    auto refused = connect_tls();
    authd->answer(ipc::SaslState::unavailable, "", "sessions");
    refused->ask("a LOGIN x y\r\n");
    const std::string refused_sid = authd->starts.back().sid;
    refused->hang_up();
    for (int i = 0; i < 10; ++i)
        turn(loop);
    CHECK(authd->ended_sids == std::vector<std::string>{sid, refused_sid});
}

TEST_CASE_METHOD(Fixture, "F10: HTTP is closed at its first line, foreign ALPN at its hello") {
    for (const auto* line : {"GET / HTTP/1.1", "post /x HTTP/1.0", "CONNECT a:1 HTTP/1.1"}) {
        auto client = connect();
        client->said();
        CHECK(client->ask(cat(line, "\r\nHost: a\r\n\r\n")) == "* BYE this is IMAP\r\n");
        CHECK(client->closed);
    }
    auto client = connect(Door::tls);
    CHECK_FALSE(client->start_tls({"h2"}));
    CHECK(client->tls_error().find("application protocol") != std::string::npos);
    auto good = connect(Door::tls);
    CHECK(good->start_tls({"h2", "imap"}));
}

TEST_CASE_METHOD(Fixture, "F12, F14: what is too large before the login") {
    auto client = connect();
    client->said();
    CHECK(client->ask("a LOGIN {4294967296}\r\n") == "a BAD [TOOBIG] literal too long\r\n");
    CHECK(client->ask("b LOGIN {4097}\r\n") == "b BAD [TOOBIG] literal too long\r\n");
    auto second = connect();
    second->said();
    CHECK(second->ask("a LOGIN {4096}\r\n") == "+ OK\r\n");
    CHECK(second->ask(std::string(4096, 'x') + " {1}\r\n") ==
          "a BAD [TOOBIG] literal too long\r\n");
    CHECK(second->ask("b LOGIN {99999+}\r\n") ==
          "b BAD [TOOBIG] literal too long\r\n* BYE too much to be skipped\r\n");
    CHECK(second->closed);
    auto third = connect();
    third->said();
    CHECK(third->ask("a ID " + std::string(100'000, '(') + "\r\n") ==
          "a BAD [TOOBIG] line too long\r\n* BYE too much to be skipped\r\n");
    auto fourth = connect();
    fourth->said();
    CHECK(fourth->ask("a ID " + std::string(40, '(') + "\r\n").starts_with("a BAD "));
    CHECK(fourth->ask("b APPEND INBOX {14+}\r\nc LOGOUT\r\nxx\r\n\r\n") ==
          "b BAD no such command before the login\r\n");
}

TEST_CASE_METHOD(Fixture, "authd may refuse an address") {
    authd->verdict.allowed = false;
    authd->verdict.reason = "too many connections from your address";
    auto client = connect();
    CHECK(client->said() == "* BYE too many connections from your address\r\n");
    CHECK(client->closed);
    auto tls = connect(Door::tls);
    tls->settle();
    CHECK(tls->received.empty());
    CHECK(tls->closed);
    CHECK(authd->closed_count == 0); // they were not counted
    authd->verdict.allowed = true;
    auto third = connect();
    CHECK(third->said() == kPlainGreeting);
    third->hang_up();
    for (int i = 0; i < 10; ++i)
        turn(loop);
    CHECK(authd->closed_count == 1);
}

TEST_CASE_METHOD(Fixture, "without a certificate there is no TLS and no login") {
    service.tls.reset();
    auto client = connect();
    CHECK(client->said().find(" SASL-IR LOGINDISABLED]") != std::string::npos);
    CHECK(client->ask("a STARTTLS\r\n") == "a NO [UNAVAILABLE] no certificate\r\n");
    auto tls = connect(Door::tls);
    tls->settle();
    CHECK(tls->closed);
}

TEST_CASE_METHOD(Fixture, "silence ends a connection") {
    service.pace.silence_ms = 20;
    auto client = connect();
    for (int i = 0; i < 500 && !client->closed; ++i) {
        client->settle();
        ::usleep(1000);
    }
    CHECK(client->closed);
    CHECK(client->received == kPlainGreeting + "* BYE timeout\r\n");
}

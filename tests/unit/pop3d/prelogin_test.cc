#include "common/base/base64.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "tests/unit/pop3d/harness.h"

using namespace tambo;
using namespace tambo::pop3d;

namespace {

const std::string kCapaHead = "+OK capabilities\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\n"
                              "AUTH-RESP-CODE\r\nIMPLEMENTATION Tambo\r\n";
const std::string kCapaClear = kCapaHead + "STLS\r\n.\r\n";
const std::string kCapaSecured = kCapaHead + "USER\r\nSASL PLAIN LOGIN\r\n.\r\n";
const std::string kNulled("\0alice\0a secret", 15);

} // namespace

TEST_CASE_METHOD(Fixture, "greeting, CAPA and QUIT in clear") {
    auto client = connect();
    CHECK(client->said() == kGreeting);
    CHECK(client->ask("CAPA\r\n") == kCapaClear);
    CHECK(client->ask("quit\r\n") == "+OK good-bye\r\n");
    CHECK(client->closed);
    CHECK(authd->opened_count == 1);
    client->hang_up();
    turn_some();
    CHECK(authd->closed_count == 1);
    CHECK(service.connections.empty());
}

TEST_CASE_METHOD(Fixture, "no password without TLS, on loopback too") {
    for (const auto* line : {"USER alice\r\n", "PASS secret\r\n", "AUTH PLAIN AGEAYg==\r\n"}) {
        auto client = connect(Door::clear, "127.0.0.1");
        client->said();
        CHECK(client->ask(line) == "-ERR use TLS first\r\n");
    }
    CHECK(authd->starts.empty());
    CHECK(authd->opened_count == 0); // loopback is exempt
}

TEST_CASE_METHOD(Fixture, "STLS, and what is announced behind it") {
    auto client = connect();
    client->said();
    CHECK(client->ask("STLS\r\n") == "+OK begin TLS\r\n");
    REQUIRE(client->start_tls({"pop3"}));
    CHECK(client->ask("CAPA\r\n") == kCapaSecured);
    CHECK(client->ask("STLS\r\n") == "-ERR TLS is active\r\n");
}

TEST_CASE_METHOD(Fixture, "without a certificate STLS is not announced") {
    service.tls.reset();
    auto client = connect();
    client->said();
    CHECK(client->ask("CAPA\r\n") == kCapaHead + ".\r\n");
    CHECK(client->ask("STLS\r\n") == "-ERR [SYS/PERM] no certificate\r\n");
    auto other = connect(Door::tls);
    CHECK(other->said().empty());
    CHECK(other->closed);
}

TEST_CASE_METHOD(Fixture, "F7: bytes behind STLS end the connection without a handshake") {
    for (const auto* bytes : {"STLS\r\nUSER x\r\n", "STLS\r\nx", "STLS\r\n\r\n"}) {
        auto client = connect();
        client->said();
        CHECK(client->ask(bytes) == "-ERR bytes behind STLS\r\n");
        CHECK(client->closed);
    }
}

TEST_CASE_METHOD(Fixture, "USER and PASS become SASL PLAIN") {
    auto client = connect_tls();
    CHECK(client->said() == kGreeting);
    authd->answer(ipc::SaslState::accepted);
    CHECK(client->ask("USER alice\r\n") == "+OK send PASS\r\n");
    CHECK(client->ask("PASS a secret\r\n").empty()); // the session answers
    REQUIRE(authd->starts.size() == 1);
    const auto& start = authd->starts.front();
    CHECK(start.service == ipc::Service::pop3);
    CHECK(start.mechanism == "PLAIN");
    CHECK(start.has_initial);
    CHECK(start.initial == kNulled);
    CHECK(start.client_ip == "192.0.2.7");
    CHECK(start.client_port == 4711);
    CHECK(start.tls == "TLSv1.3");
    CHECK(start.channel_binding.size() == 32);
    CHECK(start.sid.size() == 26);
    CHECK(start.session.valid());
}

TEST_CASE_METHOD(Fixture, "AUTH with initial response, without, and with LOGIN") {
    const std::string plain = base64_encode(kNulled);
    {
        auto client = connect_tls();
        client->said();
        authd->answer(ipc::SaslState::accepted);
        CHECK(client->ask(cat("auth plain ", plain, "\r\n")).empty());
        CHECK(authd->starts.back().initial == kNulled);
    }
    auto client = connect_tls();
    client->said();
    authd->answer(ipc::SaslState::challenge);
    CHECK(client->ask("AUTH PLAIN\r\n") == "+ \r\n");
    CHECK_FALSE(authd->starts.back().has_initial);
    authd->answer(ipc::SaslState::refused);
    CHECK(client->ask(plain + "\r\n") == "-ERR [AUTH] authentication failed\r\n");
    CHECK(authd->responses.back() == kNulled);
    authd->answer(ipc::SaslState::challenge, "Username:");
    authd->answer(ipc::SaslState::challenge, "Password:");
    authd->answer(ipc::SaslState::accepted);
    CHECK(client->ask("AUTH LOGIN\r\n") == "+ VXNlcm5hbWU6\r\n");
    CHECK(client->ask("YWxpY2U=\r\n") == "+ UGFzc3dvcmQ6\r\n");
    CHECK(client->ask("c2VjcmV0\r\n").empty());
    CHECK(authd->responses.back() == "secret");
    CHECK(authd->starts.back().session.valid());
    CHECK(authd->aborts == 0);
}

TEST_CASE_METHOD(Fixture, "AUTH that goes wrong") {
    auto client = connect_tls();
    client->said();
    CHECK(client->ask("AUTH CRAM-MD5\r\n") == "-ERR no such mechanism\r\n");
    authd->answer(ipc::SaslState::challenge);
    CHECK(client->ask("AUTH PLAIN\r\n") == "+ \r\n");
    CHECK(client->ask("*\r\n") == "-ERR cancelled\r\n");
    CHECK(authd->aborts == 1);
    CHECK(client->ask("AUTH PLAIN !\r\n") == "-ERR that is not base64\r\n");
    authd->answer(ipc::SaslState::challenge);
    CHECK(client->ask("AUTH PLAIN\r\n") == "+ \r\n");
    CHECK(client->ask(std::string(4096, 'A')) == "-ERR line too long\r\n");
    CHECK(client->closed);
    CHECK(authd->aborts == 2);
}

TEST_CASE_METHOD(Fixture, "refused and unavailable logins") {
    auto client = connect_tls();
    client->said();
    CHECK(client->ask("PASS x\r\n") == "-ERR send USER first\r\n");
    authd->answer(ipc::SaslState::unavailable);
    CHECK(client->ask("USER a\r\nPASS b\r\n") ==
          "+OK send PASS\r\n-ERR [SYS/TEMP] try again later\r\n");
    CHECK(client->ask("PASS b\r\n") == "-ERR send USER first\r\n"); // the name is used up
    for (int i = 0; i < limits::bad_commands_prelogin; ++i) {
        CHECK_FALSE(client->closed);
        authd->answer(ipc::SaslState::refused, "", "badpass");
        CHECK(client->ask("USER a\r\nPASS b\r\n") ==
              "+OK send PASS\r\n-ERR [AUTH] authentication failed\r\n");
    }
    CHECK(client->closed);
    auto other = connect_tls();
    other->said();
    authd->answer(ipc::SaslState::unavailable, "", "throttled");
    CHECK(other->ask("AUTH PLAIN AGEAYg==\r\n") == "-ERR [SYS/TEMP] try again later\r\n");
    CHECK(other->closed);
}

TEST_CASE_METHOD(Fixture, "a login with too many sessions is told so, and may try again") {
    auto client = connect_tls();
    client->said();
    for (int i = 0; i < limits::bad_commands_prelogin; ++i) {
        authd->answer(ipc::SaslState::unavailable, "", "sessions");
        CHECK(client->ask("USER a\r\nPASS b\r\n") ==
              "+OK send PASS\r\n"
              "-ERR [SYS/TEMP] too many sessions of this login from your address\r\n");
    }
    authd->answer(ipc::SaslState::accepted);
    CHECK(client->ask("USER a\r\nPASS b\r\n") == "+OK send PASS\r\n");
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
    turn_some();
    CHECK(authd->ended_sids == std::vector<std::string>{sid});
}

TEST_CASE_METHOD(Fixture, "authd goes away in the middle") {
    auto client = connect_tls();
    client->said();
    authd->answer(ipc::SaslState::challenge);
    CHECK(client->ask("AUTH PLAIN\r\n") == "+ \r\n");
    authd->drop();
    client->settle();
    auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
    authd_channel.attach(std::move(ours));
    authd.emplace(nursery, std::move(theirs)); // its successor knows nothing of the exchange
    CHECK(client->ask("AGEAYg==\r\n") == "-ERR [SYS/TEMP] try again later\r\n");
}

TEST_CASE_METHOD(Fixture, "bad commands and lines") {
    auto client = connect();
    client->said();
    CHECK(client->ask("STAT\r\nXYZZY <b>\r\nCAPA 1\r\nCAPA\r\n") ==
          "-ERR no such command before the login\r\n-ERR no such command before the login\r\n"
          "-ERR too many bad commands\r\n");
    CHECK(client->closed);
    auto longer = connect();
    longer->said();
    CHECK(longer->ask(std::string(4096, 'U')) == "-ERR line too long\r\n");
    CHECK(longer->closed);
    auto nul = connect_tls();
    nul->said();
    CHECK(nul->ask(std::string_view("USER a\0b\r\n", 10)) == "-ERR no such command\r\n");
}

// RULES.md D12.
TEST_CASE_METHOD(Fixture, "commands that lead nowhere are counted") {
    auto client = connect();
    client->said();
    std::string capa;
    for (int i = 0; i < limits::commands_prelogin; ++i)
        capa += "CAPA\r\n";
    client->ask(capa);
    CHECK_FALSE(client->closed);
    CHECK(client->ask("CAPA\r\n") == "-ERR too many commands before the login\r\n");
    CHECK(client->closed);
}

TEST_CASE_METHOD(Fixture, "F10: a browser is shown the door") {
    for (const auto* line : {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "post / HTTP/1.0\r\n\r\n"}) {
        auto client = connect();
        client->said();
        CHECK(client->ask(line) == "-ERR this is POP3\r\n");
        CHECK(client->closed);
    }
    auto client = connect(Door::tls);
    CHECK_FALSE(client->start_tls({"h2"}));
}

TEST_CASE_METHOD(Fixture, "authd's limits") {
    authd->verdict = {false, "too many connections from there"};
    auto client = connect();
    CHECK(client->said() == "-ERR [SYS/TEMP] too many connections from there\r\n");
    CHECK(client->closed);
    auto secret = connect(Door::tls);
    CHECK(secret->said().empty());
    CHECK(secret->closed);
    client->hang_up();
    secret->hang_up();
    turn_some();
    CHECK(service.connections.empty());
    CHECK(authd->closed_count == 0); // they were never counted
}

TEST_CASE_METHOD(Fixture, "commands split at every byte") {
    const std::string dialog = "CAPA\r\nUSER alice\r\nAUTH NONE\r\nCAPA\n";
    auto client = connect_tls();
    client->said();
    const std::string whole = client->ask(dialog);
    CHECK(whole == kCapaSecured + "+OK send PASS\r\n-ERR no such mechanism\r\n" + kCapaSecured);
    for (size_t i = 1; i < dialog.size(); ++i) {
        client = connect_tls(); // a few commands each
        client->said();
        std::string parts = client->ask(dialog.substr(0, i));
        parts += client->ask(dialog.substr(i));
        CHECK(parts == whole);
    }
}

TEST_CASE_METHOD(Fixture, "silence before the login ends without a word") {
    service.pace.silence_ms = 20;
    auto client = connect();
    CHECK(client->said() == kGreeting);
    for (int i = 0; i < 500 && !client->closed; ++i) {
        ::usleep(1000);
        client->settle();
    }
    CHECK(client->received.empty());
    CHECK(client->closed);
}

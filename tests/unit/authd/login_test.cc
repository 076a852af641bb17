// Logins by password: who gets in, who is refused, and what is bounded of what a daemon says.
#include "common/base/limits.h"
#include "common/ipc/codec.h"
#include "common/ipc/frame.h"
#include "tests/unit/authd/service_fixture.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace tambo;
using namespace tambo::authd;
using namespace tambo::authd::test;
using namespace std::string_literals;

TEST_CASE("the right password attaches the session to its own account") {
    Suite s;
    const auto answer = log_in(s, "alice@example.test", "alice-secret");
    CHECK(answer.state == ipc::SaslState::accepted);
    CHECK(answer.login == "alice@example.test");
    CHECK(s.keeper.attached == Id{0, 1});
    CHECK(s.keeper.protocol_bytes == "fd");
    CHECK(s.service->tokens().open(answer.token)->account == Id{0, 1});
    std::string forged = answer.token;
    forged.back() = static_cast<char>(forged.back() ^ 1);
    CHECK_FALSE(s.service->tokens().open(forged));
    s.clock.ms += 3 * 3'600'000;
    CHECK_FALSE(s.service->tokens().open(answer.token));
}

TEST_CASE("wrong, unknown, disabled and hostile names are refused alike") {
    Suite s;
    s.directory->set_account_disabled(Id{0, 2}, true);
    const std::vector<std::pair<std::string, std::string>> cases{
        {"alice@example.test", "bob-secret"},
        {"nobody@example.test", "x"},
        {"bob@example.test", "bob-secret"},
        {"x' OR '1'='1", "x"},
        {"%{env:PATH}", "x"},
    };
    for (const auto& [user, password] : cases) {
        conf::AuthdConfig quick = config();
        quick.login_delay_max_ms = 0;
        quick.login_failures_per_address = 100;
        s.service->configure(quick);
        const auto answer = log_in(s, user, password);
        CHECK(answer.state == ipc::SaslState::refused);
        CHECK(answer.token.empty());
    }
    CHECK(s.keeper.attached.is_nil());
}

TEST_CASE("an address with too many failures is not heard, whatever the password") {
    Suite s;
    conf::AuthdConfig quick = config();
    quick.login_delay_max_ms = 0;
    s.service->configure(quick);
    for (int i = 0; i < 4; ++i) {
        CHECK(log_in(s, "alice@example.test", "wrong").state == ipc::SaslState::refused);
    }
    for (const auto* password : {"wrong", "alice-secret"}) {
        const auto answer = log_in(s, "alice@example.test", password);
        CHECK(answer.state == ipc::SaslState::unavailable);
        CHECK(answer.reason == "throttled");
        CHECK(answer.token.empty());
    }
    CHECK(s.keeper.attached.is_nil());
    CHECK(log_in_as(s, "alice", "sid", "198.51.100.1") == ""); // from elsewhere she is heard
}

TEST_CASE("a success does not buy guesses at others") {
    Suite s;
    conf::AuthdConfig quick = config();
    quick.login_delay_max_ms = 0;
    s.service->configure(quick);
    int heard = 0;
    for (int i = 0; i < 20; ++i) {
        CHECK(log_in_as(s, "bob", cat("bob", i)) == ""); // the attacker's own account
        s.client.send(ipc::SessionEnded{cat("bob", i)});
        heard += log_in(s, "alice@example.test", "guess").state == ipc::SaslState::refused;
    }
    CHECK(heard == 4);
}

TEST_CASE("who serves no logins can try no passwords") {
    for (const auto* name : {"mx.0", "queued", "keeper"}) {
        Suite s(name);
        for (const auto* password : {"alice-secret", "wrong"}) {
            const auto answer = log_in(s, "alice@example.test", password);
            CHECK(answer.state == ipc::SaslState::refused);
            CHECK(answer.reason == "class"); // the same for the right password
            CHECK(answer.token.empty());
        }
        CHECK(s.keeper.attached.is_nil());
    }
}

TEST_CASE("the class of a login is its channel's, whatever the daemon says") {
    Suite pop3("pop3d.3");
    CHECK(log_in(pop3, "alice@example.test", "alice-secret").state == ipc::SaslState::accepted);
    CHECK(pop3.keeper.service == ipc::Service::pop3); // log_in() says imap
    Suite submit("submit.1");
    const auto answer = log_in(submit, "alice@example.test", "alice-secret");
    CHECK(answer.state == ipc::SaslState::accepted);
    CHECK(submit.service->tokens().open(answer.token)->account == Id{0, 1});
    CHECK(submit.keeper.attached.is_nil()); // it gets no session
}

TEST_CASE("acting as somebody else is refused") {
    Suite s;
    conf::AuthdConfig quick = config();
    quick.login_delay_max_ms = 0;
    s.service->configure(quick);
    ipc::SaslAnswer answer;
    s.nursery.spawn(
        log_in(s, std::string("bob@example.test\0alice@example.test\0alice-secret", 49), answer));
    s.loop.run();
    CHECK(answer.state == ipc::SaslState::refused);
}

namespace {

// A login in two steps, which leaves most of the first datagram to one field: it is as long as can
// be.
task<> log_in_slowly(Suite& s, std::string ipc::SaslStart::*field, ipc::SaslAnswer& out) {
    auto [mine, theirs] = socket_pair(SOCK_STREAM);
    ipc::SaslStart start;
    start.mechanism = "LOGIN";
    start.session = std::move(theirs);
    const size_t rest = limits::ipc_message_bytes - ipc::kHeaderBytes - ipc::encode(start).size();
    (start.*field).assign(rest, 'x');
    out = co_await s.client.call(std::move(start));
    for (const auto* word : {"alice@example.test", "alice-secret"}) {
        if (out.state != ipc::SaslState::challenge) break;
        ipc::SaslContinue next;
        next.exchange = out.exchange;
        next.data = word;
        out = co_await s.client.call(std::move(next));
    }
    s.loop.stop();
}

} // namespace

TEST_CASE("P8: what a daemon says of a client is bounded before it goes on to the keeper") {
    for (std::string ipc::SaslStart::*field :
         {&ipc::SaslStart::session_hint, &ipc::SaslStart::sid, &ipc::SaslStart::client_ip,
          &ipc::SaslStart::tls, &ipc::SaslStart::channel_binding}) {
        Suite s;
        ipc::SaslAnswer answer;
        s.nursery.spawn(log_in_slowly(s, field, answer));
        s.loop.run();
        CHECK(answer.state == ipc::SaslState::refused);
        CHECK(answer.reason == "malformed");
        CHECK(s.keeper.attached.is_nil());
        CHECK(log_in_as(s, "alice", "a1") == ""); // authd and its peer go on
    }
}

TEST_CASE("P8: why the keeper attaches no session is bounded before it goes on") {
    Suite s;
    s.keeper.attaches = false;
    const ipc::AttachAnswer least{false, ""};
    const size_t rest = limits::ipc_message_bytes - ipc::kHeaderBytes - ipc::encode(least).size();
    s.keeper.reason.assign(rest, 'x');
    CHECK(log_in_as(s, "alice", "a1") == std::string(256, 'x'));
    s.keeper.attaches = true;
    CHECK(log_in_as(s, "alice", "a1") == "");
}

namespace {

struct Round {
    std::vector<ipc::SaslAnswer> answers;
    size_t waiting = 0;
};

task<> try_one(Suite& s, Round& round, size_t number, std::string initial) {
    ipc::SaslStart start;
    start.service = ipc::Service::imap;
    start.sid = cat("s", number);
    start.mechanism = "PLAIN";
    start.has_initial = true;
    start.initial = std::move(initial);
    start.client_ip = "127.0.0.1";
    auto [mine, theirs] = socket_pair(SOCK_STREAM);
    start.session = std::move(theirs);
    round.answers[number] = co_await s.client.call(std::move(start));
    if (--round.waiting == 0) s.loop.stop();
}

} // namespace

TEST_CASE("A5: a hundred good logins among as many bad ones all succeed") {
    Suite s;
    CHECK(log_in_as(s, "alice", "first") == "");
    const std::vector<std::string> garbage{"", "x", std::string(2, '\0'), std::string(5000, 'x'),
                                           std::string("\0\xff\xfe\0x", 5)};
    Round round;
    round.waiting = 200;
    round.answers.resize(round.waiting);
    for (size_t i = 0; i < round.answers.size(); ++i) {
        s.nursery.spawn(try_one(s, round, i,
                                i % 2 == 0 ? "\0alice@example.test\0alice-secret"s
                                           : garbage[i / 2 % garbage.size()]));
    }
    if (round.waiting > 0) s.loop.run();
    for (size_t i = 0; i < round.answers.size(); ++i) {
        INFO(i);
        CHECK((round.answers[i].state == ipc::SaslState::accepted) == (i % 2 == 0));
    }
}

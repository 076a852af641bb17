#include "authd/admin.h"
#include "authd/peer.h"
#include "authd/service.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/ipc/codec.h"
#include "common/ipc/frame.h"
#include "common/sys/clock.h"
#include "common/sys/fdpass.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <vector>

using namespace tambo;
using namespace tambo::authd;
using namespace std::string_literals;
using namespace std::string_view_literals;

namespace {

struct TestClock final : Clock {
    int64_t ms = 1'000'000'000'000;
    UtcTime now() override { return UtcTime{ms}; }
    int64_t monotonic_ms() override { return ms; }
};

conf::AuthdConfig config() {
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

std::string temporary_directory() {
    char path[] = "/tmp/tambo-authd-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    return path;
}

struct Keeper {
    Id attached;
    ipc::Service service = ipc::Service::local;
    bool attaches = true;
    std::string reason = "busy";
    std::vector<Id> kicked; // since the last session
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

task<> log_in(Suite& s,
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

ipc::SaslAnswer log_in(Suite& s, const std::string& user, const std::string& password) {
    ipc::SaslAnswer answer;
    s.nursery.spawn(
        log_in(s, std::string(1, '\0') + user + std::string(1, '\0') + password, answer));
    s.loop.run();
    return answer;
}

// Alice's or bob's, with the right password; why it did not succeed, or "".
std::string log_in_as(Suite& s,
                      const std::string& local,
                      const std::string& sid,
                      const std::string& ip = "192.0.2.9") {
    ipc::SaslAnswer answer;
    s.nursery.spawn(
        log_in(s, cat('\0', local, "@example.test\0"sv, local, "-secret"), answer, sid, ip));
    s.loop.run();
    if (answer.state == ipc::SaslState::accepted) return "";
    CHECK(answer.state == ipc::SaslState::unavailable);
    return answer.reason;
}

void settle(Suite& s) {
    for (int i = 0; i < 10; ++i) {
        s.loop.post([&s] { s.loop.stop(); });
        s.loop.run();
    }
}

} // namespace

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

TEST_CASE("a login sends as its own addresses only") {
    Suite s;
    s.directory->add_alias(Alias{"sales", "example.test", "alice@example.test"});
    Login login;
    login.account = Id{0, 1};
    login.address = "alice@example.test";
    const std::string token = s.service->token_for(login);
    for (const auto* own :
         {"alice@example.test", "alice+x@example.test", "sales@example.test", ""}) {
        CHECK(s.service->check_sender(token, own).code == 0);
    }
    // Alice is the postmaster here: the host's names are hers to answer for, not bob's.
    CHECK(s.service->check_sender(token, "root@mail.example.test").code == 0);
    login.account = Id{0, 2};
    const std::string bob = s.service->token_for(login);
    for (const auto* foreign : {"alice@example.test", "x@remote.test", "root@mail.example.test"}) {
        CHECK(s.service->check_sender(bob, foreign).code == 553);
    }
    CHECK(s.service->check_sender("", "alice@example.test").code == 530);
}

TEST_CASE("a token ends with the right that it was made for") {
    const std::function<void(Suite&)> changes[] = {
        [](Suite& s) {
            s.directory->set_account_disabled(Id{0, 1}, true);
        },
        [](Suite& s) {
            s.directory->remove_account(Id{0, 1});
        },
        [](Suite& s) { s.set_password(1, "another"); },
    };
    for (const auto& change : changes) {
        Suite s;
        Login login;
        login.account = Id{0, 1};
        login.address = "alice@example.test";
        ipc::Resolve question;
        question.service = ipc::Service::submission;
        question.token = s.service->token_for(login);
        question.recipients = {"x@remote.test"};
        ipc::CheckRecipient recipient;
        recipient.service = ipc::Service::submission;
        recipient.token = question.token;
        recipient.address = "x@remote.test";
        CHECK(s.service->check_sender(question.token, "").code == 0);
        CHECK(s.service->check_recipient(recipient).code == 0);
        CHECK(s.service->resolve(question).refusal.code == 0);
        change(s);
        CHECK(s.service->check_sender(question.token, "").code == 530);
        CHECK(s.service->check_recipient(recipient).code == 530);
        CHECK(s.service->resolve(question).refusal.code == 454);
        login.account = Id{0, 2};
        CHECK(s.service->check_sender(s.service->token_for(login), "").code == 0);
    }
}

TEST_CASE("a password that is replaced while it is verified is wrong, now and later") {
    Suite s;
    Service::Checked checked;
    const auto log_in_again = [&] {
        s.nursery.spawn([](Suite& suite, Service::Checked& out) -> task<> {
            std::string name = "alice@example.test", password = "alice-secret";
            const auto service = ipc::Service::imap;
            out = co_await suite.service->check_password(std::move(name), std::move(password),
                                                         service);
            suite.loop.stop();
        }(s, checked));
    };
    log_in_again(); // waits for the hash now
    s.set_password(1, "another");
    s.service->account_changed(Id{0, 1}, false);
    s.loop.run();
    CHECK_FALSE(checked.ok);
    log_in_again();
    s.loop.run();
    CHECK_FALSE(checked.ok);
}

TEST_CASE("A3: a right that ends while the keeper attaches the session takes the session along") {
    const std::function<void(Suite&)> changes[] = {
        [](Suite& s) {
            s.directory->set_account_disabled(Id{0, 1}, true);
        },
        [](Suite& s) {
            s.directory->remove_account(Id{0, 1});
        },
        [](Suite& s) { s.set_password(1, "another"); },
    };
    for (const auto& change : changes) {
        Suite s;
        s.keeper.before_answer = [&] {
            change(s);
            // The keeper hears of it before it has the session anywhere.
            s.service->account_changed(Id{0, 1}, false);
        };
        CHECK(log_in_as(s, "alice", "a1") == "changed");
        settle(s);
        CHECK(s.keeper.kicked == std::vector<Id>{Id{0, 1}, Id{0, 1}});
        s.keeper.before_answer = nullptr;
        CHECK(log_in_as(s, "bob", "b1") == "");
        CHECK(s.keeper.kicked.empty());
    }
    Suite s; // nothing about the right itself
    s.keeper.before_answer = [&] { s.service->account_changed(Id{0, 1}, false); };
    CHECK(log_in_as(s, "alice", "a1") == "");
}

TEST_CASE("A3: a keeper that is away is told later who has no right any more") {
    Suite s;
    CHECK(log_in_as(s, "alice", "a0") == ""); // from now on without a hash
    s.keeper_end.drop("away");
    settle(s);
    CHECK_FALSE(s.service->keeper().connected());
    ipc::SaslAnswer answer;
    s.nursery.spawn(log_in(s, "\0alice@example.test\0alice-secret"s, answer, "a1"));
    settle(s); // the session waits for the keeper now
    s.set_password(1, "another");
    s.service->account_changed(Id{0, 1}, false);
    s.service->account_changed(Id{0, 2}, true);
    auto [a, b] = socket_pair(SOCK_SEQPACKET);
    s.keeper_end.attach(std::move(b));
    s.service->keeper().attach(std::move(a));
    s.loop.run();
    CHECK(answer.state == ipc::SaslState::unavailable);
    CHECK(answer.token.empty());
    CHECK(s.keeper.attached == Id{0, 1});
    settle(s);
    CHECK(s.keeper.kicked ==
          std::vector<Id>{Id{0, 1}, Id{0, 2}, Id{0, 1}}); // all behind the session
}

TEST_CASE("the mx class relays for nobody, whatever the token") {
    Suite s;
    Login login;
    login.account = Id{0, 1};
    ipc::Resolve question;
    question.token = s.service->token_for(login);
    question.recipients = {"x@remote.test", "bob@example.test", "nobody@example.test"};
    const auto resolution = s.service->resolve(question);
    REQUIRE(resolution.recipients.size() == 3);
    CHECK(resolution.recipients[0].refusal.enhanced == "5.7.1");
    CHECK(resolution.recipients[1].targets.size() == 1);
    CHECK(resolution.recipients[2].refusal.enhanced == "5.1.1");
}

TEST_CASE("a login's messages of a day are counted once for each message") {
    Suite s;
    Login login;
    login.account = Id{0, 1};
    login.address = "alice@example.test";
    login.client_ip = "192.0.2.1";
    ipc::Resolve question;
    question.service = ipc::Service::submission;
    question.token = s.service->token_for(login);
    question.reverse_path = "alice@example.test";
    question.recipients = {"x@remote.test"};
    question.recipients_total = 1;
    CHECK(s.service->resolve(question).refusal.code == 0);
    question.first = false;
    CHECK(s.service->resolve(question).refusal.code == 0);
    question.first = true;
    CHECK(s.service->resolve(question).refusal.code == 0);
    CHECK(s.service->resolve(question).refusal.code == 450);
    login.client_ip = "127.0.0.1";
    auto nearby = question;
    nearby.token = s.service->token_for(login);
    CHECK(s.service->resolve(nearby).refusal.code == 0);
    s.clock.ms += 3'600'000; // tokens live two hours
    CHECK(s.service->resolve(question).refusal.code == 450);
}

TEST_CASE("recipients with many targets are resolved in parts that fit a datagram") {
    Suite s;
    std::string lists;
    ipc::Resolve question;
    for (int list = 0; list < 5; ++list) {
        cat_to(lists, cat("list", list, ": "));
        for (int i = 0; i < 600; ++i)
            cat_to(lists, cat("list", list, "-member", i, "@remote.test, "));
        lists.back() = '\n';
        question.recipients.push_back(cat("list", list, '@', "mail.example.test"));
    }
    s.service->set_aliases_file(lists);
    size_t calls = 0, targets = 0;
    for (; !question.recipients.empty(); ++calls) {
        const auto resolution = s.service->resolve(question);
        REQUIRE(resolution.recipients.size() > 0);
        CHECK(ipc::encode(resolution).size() < limits::ipc_message_bytes - ipc::kHeaderBytes);
        for (const auto& recipient : resolution.recipients)
            targets += recipient.targets.size();
        const auto done = static_cast<std::ptrdiff_t>(resolution.recipients.size());
        question.recipients.erase(question.recipients.begin(), question.recipients.begin() + done);
    }
    CHECK(calls == 3);
    CHECK(targets == 3000);
}

TEST_CASE("a full account is refused at RCPT") {
    Suite s;
    ipc::CheckRecipient question;
    question.address = "alice@example.test";
    CHECK(s.service->check_recipient(question).code == 0);
    s.service->set_full(Id{0, 1}, true);
    CHECK(s.service->check_recipient(question).enhanced == "4.2.2");
    s.service->set_full(Id{0, 1}, false);
    CHECK(s.service->check_recipient(question).code == 0);
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

TEST_CASE("limits per address never touch loopback unless told to") {
    TestClock clock;
    Throttle throttle(config(), clock);
    for (int i = 0; i < 100; ++i)
        CHECK(throttle.open(ipc::Service::mx, "127.0.0.1").allowed);
    for (int i = 0; i < 3; ++i)
        CHECK(throttle.open(ipc::Service::mx, "2001:db8::1").allowed);
    CHECK_FALSE(throttle.open(ipc::Service::mx, "2001:db8::2").allowed);
    throttle.close(ipc::Service::mx, "2001:db8::1");
    CHECK(throttle.open(ipc::Service::mx, "2001:db8::3").allowed);
    throttle.close(ipc::Service::mx, "2001:db8::3");
    CHECK(throttle.open(ipc::Service::mx, "2001:db8::3").allowed);
    throttle.close(ipc::Service::mx, "2001:db8::3");
    CHECK_FALSE(throttle.open(ipc::Service::mx, "2001:db8::3").allowed); // rate
    CHECK(throttle.failed("192.0.2.1", "a@x") == 1000);
    CHECK(throttle.failed("192.0.2.1", "a@x") == 2000);
    CHECK(throttle.failed("192.0.2.1", "a@x") == 4000);
    CHECK(throttle.may_authenticate("192.0.2.1", "a@x"));
    CHECK(throttle.failed("192.0.2.1", "a@x") == 4000);
    CHECK_FALSE(throttle.may_authenticate("192.0.2.1", "a@x"));
    clock.ms += 600'001;
    CHECK(throttle.may_authenticate("192.0.2.1", "a@x"));
}

namespace {

// The submission daemon: takes what authd passes, unless it is told to keep silent.
struct Submit {
    explicit Submit(Suite& suite) : s(suite) {
        s.client.on<ipc::LocalArrival>(*this, &Submit::take);
    }
    task<ipc::LocalTaken> take(ipc::LocalArrival arrival) {
        arrivals.push_back(std::move(arrival));
        while (silent)
            co_await sleep_ms(s.nursery, 5);
        co_return ipc::LocalTaken{};
    }
    Suite& s;
    std::vector<ipc::LocalArrival> arrivals;
    bool silent = false;
};

// submit.sock, as master makes it.
struct Door {
    sockaddr_un address{};
    UniqueFd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    explicit Door(const std::string& directory) {
        address.sun_family = AF_UNIX;
        const std::string path = directory + "/submit.sock";
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        const auto* raw = reinterpret_cast<const sockaddr*>(&address);
        REQUIRE(::bind(listener.get(), raw, sizeof address) == 0);
        REQUIRE(::listen(listener.get(), 100) == 0);
    }
    UniqueFd connect() const {
        UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const auto* raw = reinterpret_cast<const sockaddr*>(&address);
        REQUIRE(::connect(client.get(), raw, sizeof address) == 0);
        return client;
    }
};

} // namespace

TEST_CASE("a user of the host is known by the kernel's word, and passed to submit") {
    Suite s("submit.0");
    Submit submit(s);
    Door door(s.dir);
    s.service->local_door().listen(std::move(door.listener));
    const UniqueFd client = door.connect();
    settle(s);
    REQUIRE(submit.arrivals.size() == 1);
    const auto& arrival = submit.arrivals[0];
    CHECK(arrival.uid == ::getuid());
    CHECK(arrival.drop_name.empty());
    CHECK(arrival.address == cat("uid", ::getuid(), "@mail.example.test")); // no passwd was given
    const auto login = s.service->tokens().open(arrival.token);
    REQUIRE(login);
    CHECK_FALSE(login->is_account);
    CHECK(login->uid == ::getuid());
    // It is the very connection.
    REQUIRE(::write(arrival.descriptor.get(), "220", 3) == 3);
    char text[4] = {};
    CHECK(::read(client.get(), text, 3) == 3);
    CHECK(text == "220"sv);
    CHECK(s.service->local_door().passing() == 0);
}

TEST_CASE("nobody but submit gets users of the host, and nobody can name one") {
    for (const auto* name : {"mx.0", "imapd.0", "queued"}) {
        Suite s(name);
        Submit submit(s);
        Door door(s.dir);
        s.service->local_door().listen(std::move(door.listener));
        const UniqueFd client = door.connect();
        settle(s);
        CHECK(submit.arrivals.empty());
    }
    Suite s("submit.0");
    bool lost = false;
    s.nursery.spawn([](Suite& suite, bool& out) -> task<> {
        ipc::LocalArrival claim;
        claim.uid = 0;
        try {
            co_await suite.client.call(std::move(claim));
        } catch (const ipc::PeerLost&) {
            out = true;
        }
    }(s, lost));
    settle(s);
    CHECK(lost);
    CHECK_FALSE(s.server.connected()); // what submit asks is not what submit may ask
}

TEST_CASE("the owner of a file in drop/ is its sender; what is no plain file is not passed") {
    Suite s("submit.0");
    Submit submit(s);
    const std::string path = s.dir + "/0123";
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (::getuid() == 0) REQUIRE(::fchown(file.get(), 12345, 12345) == 0);
    const uint32_t owner = ::getuid() == 0 ? 12345 : ::getuid();
    LocalDoor& door = s.service->local_door();
    CHECK(door.pass_file("0123", UniqueFd(::dup(file.get()))));
    settle(s);
    REQUIRE(submit.arrivals.size() == 1);
    CHECK(submit.arrivals[0].drop_name == "0123");
    CHECK(submit.arrivals[0].uid == owner);
    CHECK(s.service->tokens().open(submit.arrivals[0].token)->uid == owner);

    REQUIRE(::link(path.c_str(), (path + "-2").c_str()) == 0);
    CHECK_FALSE(door.pass_file("0123", std::move(file)));
    CHECK_FALSE(door.pass_file("dir", UniqueFd(::open(s.dir.c_str(), O_RDONLY | O_CLOEXEC))));
    CHECK_FALSE(door.pass_file("none", UniqueFd()));
    settle(s);
    CHECK(submit.arrivals.size() == 1);
}

TEST_CASE("while submit does not take them, connections of the host wait in the kernel") {
    Suite s("submit.0");
    Submit submit(s);
    submit.silent = true;
    Door door(s.dir);
    s.service->local_door().listen(std::move(door.listener));
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 80; ++i)
        clients.push_back(door.connect());
    settle(s);
    CHECK(s.service->local_door().passing() == 32);
    submit.silent = false;
    for (int i = 0; i < 1000 && submit.arrivals.size() < clients.size(); ++i) {
        s.nursery.spawn([](Suite& suite) -> task<> {
            co_await sleep_ms(suite.nursery, 5);
            suite.loop.stop();
        }(s));
        s.loop.run();
    }
    CHECK(submit.arrivals.size() == clients.size());
}

TEST_CASE("a file that cannot be read changes nothing and ends nobody") {
    Suite s;
    const std::string path = s.dir + "/aliases";
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(::write(file.get(), "ops: alice@example.test\n", 24) == 24);
    s.service->take_file("aliases", file);
    CHECK(s.service->book().system_aliases("ops").size() == 1);
    s.service->take_file("aliases", UniqueFd(::open(s.dir.c_str(), O_RDONLY | O_CLOEXEC)));
    s.service->take_file("passwd", UniqueFd(::open(s.dir.c_str(), O_RDONLY | O_CLOEXEC)));
    s.service->take_file("aliases", UniqueFd());
    REQUIRE(::ftruncate(file.get(), (4 << 20) + 1) == 0); // larger than is read
    s.service->take_file("aliases", file);
    CHECK(s.service->book().system_aliases("ops").size() == 1);
}

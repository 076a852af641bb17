// RULES.md A3: what becomes of tokens, logins and sessions when the right to them ends.
#include "tests/unit/authd/service_fixture.h"

#include <catch2/catch.hpp>

#include <functional>
#include <string>
#include <vector>

using namespace tambo;
using namespace tambo::authd;
using namespace tambo::authd::test;
using namespace std::string_literals;

namespace {

const std::function<void(Suite&)> kEndsOfAlicesRight[] = {
    [](Suite& s) {
        s.directory->set_account_disabled(Id{0, 1}, true);
    },
    [](Suite& s) {
        s.directory->remove_account(Id{0, 1});
    },
    [](Suite& s) { s.set_password(1, "another"); },
};

} // namespace

TEST_CASE("a token ends with the right that it was made for") {
    for (const auto& change : kEndsOfAlicesRight) {
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
    for (const auto& change : kEndsOfAlicesRight) {
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

TEST_CASE("a removed account is named to each keeper until one has put its mail away") {
    Suite s;
    const auto next_keeper = [&] {
        s.keeper_end.drop("died");
        settle(s);
        s.keeper.kicked.clear();
        auto [a, b] = socket_pair(SOCK_SEQPACKET);
        s.keeper_end.attach(std::move(b));
        s.service->keeper().attach(std::move(a));
        settle(s);
        return s.keeper.kicked;
    };
    REQUIRE(s.directory->remove_account(Id{0, 1}));
    CHECK_FALSE(s.directory->remove_account(Id{0, 1}));
    CHECK(next_keeper() == std::vector<Id>{Id{0, 1}});
    CHECK(s.keeper.changed.back().is_nil()); // quotas, too
    CHECK(next_keeper() == std::vector<Id>{Id{0, 1}});
    s.service->account_buried(Id{0, 1});
    CHECK(next_keeper().empty());
}

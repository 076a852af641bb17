// Who may send as whom, to whom, and how much.
#include "common/base/limits.h"
#include "common/ipc/codec.h"
#include "common/ipc/frame.h"
#include "tests/unit/authd/service_fixture.h"

#include <catch2/catch.hpp>

#include <string>

using namespace tambo;
using namespace tambo::authd;
using namespace tambo::authd::test;

TEST_CASE("a login sends as its own addresses only") {
    Suite s;
    s.directory->add_aliases("sales", "example.test", {"alice@example.test"});
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

TEST_CASE("a full account is refused at RCPT, and one that is nearly full by the size") {
    Suite s;
    ipc::CheckRecipient question;
    question.address = "alice@example.test";
    CHECK(s.service->check_recipient(question).code == 0);
    s.service->set_room(Id{0, 1}, 1);
    CHECK(s.service->check_recipient(question).text == "mailbox full");
    s.service->set_room(Id{0, 1}, 5000);
    for (const uint64_t bytes : {0, 4999}) {
        question.message_bytes = bytes;
        CHECK(s.service->check_recipient(question).code == 0);
    }
    question.message_bytes = 5000;
    const auto refused = s.service->check_recipient(question);
    CHECK(refused.code == 452);
    CHECK(refused.enhanced == "4.2.2");
    CHECK(refused.text == "mailbox has no room for a message of this size");
    CHECK(s.service->lack_of_room(Id{0, 1}) == "452 4.2.2 for a message of 5000 bytes or more");
    s.service->set_room(Id{0, 1}, 1);
    CHECK(s.service->lack_of_room(Id{0, 1}) == "452 4.2.2 mailbox full");
    s.service->set_room(Id{0, 1}, 0);
    CHECK(s.service->check_recipient(question).code == 0);
    CHECK(s.service->lack_of_room(Id{0, 1}) == "");
}

TEST_CASE("a message larger than the whole quota is refused for good") {
    Suite s;
    s.service->directory().set_quota(Id{0, 1}, 2 << 20, 0);
    ipc::CheckRecipient question;
    question.address = "alice@example.test";
    question.message_bytes = 2 << 20;
    CHECK(s.service->check_recipient(question).code == 0);
    question.message_bytes++;
    const auto refused = s.service->check_recipient(question);
    CHECK(refused.code == 550); // 552 would be tried again: RFC 5321 4.5.3.1.10
    CHECK(refused.enhanced == "5.2.3");
}

#include "tests/unit/store/fixture.h"

#include "common/store/sqlite_account.h"

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

using namespace tambo;
using namespace tambo::store;

TEST_CASE("a delivery is filed once, whatever happens to the message") {
    Fixture f;
    const auto delivery = f.delivery(1);
    auto first = f.deliver(delivery);
    REQUIRE(first.ok());
    CHECK_FALSE(first->already);
    CHECK(first->uid == 1);
    CHECK(first->uidvalidity == f.status().uidvalidity);
    CHECK(f.deliver(delivery)->already);
    f.open();
    CHECK(f.deliver(delivery)->already);
    {
        const auto inbox = f.select();
        CHECK(f.text(inbox->entries()[0]) == "Return-Path: <a@b>\r\ns: t\r\n\r\nx\r\n");
        CHECK(inbox->entries()[0].size == 20 + 11);
        // The same queue entry for another recipient, and another action, is another message.
        REQUIRE(f.deliver(f.delivery(1, 1)).ok());
        auto action = f.delivery(1);
        action.key.action = 2;
        f.link_body(action.key, "x");
        REQUIRE(f.deliver(action).ok());
        CHECK(uids_in(*inbox) == Uids{1, 2, 3});
        REQUIRE(f.account->discard(*inbox, Uids{1, 2, 3}, nullptr).ok());
    }
    CHECK(f.deliver(delivery)->already);
    f.tidy_all();
    CHECK(f.bodies() == 0);
    f.link_body(delivery.key, "again"); // deliverd replays after a crash
    CHECK(f.deliver(delivery)->already);
    CHECK(f.bodies() == 0);
    CHECK(f.status().messages == 0);
}

TEST_CASE("a batch is one commit; each delivery has its own outcome") {
    Fixture f;
    std::vector<Delivery> batch;
    for (uint64_t i = 1; i <= 6; ++i)
        batch.push_back(f.delivery(i));
    batch[1].mailbox = "nosuch";
    batch[2].mailbox = "Junk";
    batch[2].flags = kSeen;
    batch[2].keywords = {"$Junk"};
    batch[3] = batch[0];
    std::filesystem::remove(f.dir + "/" + BodyName::of(batch[4].key).path());
    f.account->set_quota({62, 0});
    const auto outcomes = f.account->deliver(batch);
    REQUIRE(outcomes.size() == 6);
    CHECK(outcomes[0]->uid == 1);
    CHECK(outcomes[1].error() == Refusal::nonexistent);
    CHECK(outcomes[2]->uid == 1);
    CHECK(outcomes[3]->already);
    CHECK(outcomes[4].error() == Refusal::no_body);
    CHECK(outcomes[5].error() == Refusal::over_quota);
    const auto junk = f.select("Junk");
    CHECK(junk->entries()[0].flags == kSeen);
    CHECK(junk->keywords().names(junk->entries()[0].keywords) == Names{"$Junk"});
    f.account->set_quota({});
    // What was refused keeps no space; it is linked again when it is tried again.
    CHECK(f.deliver(batch[5]).error() == Refusal::no_body);
    f.link_body(batch[5].key, "s: t\r\n\r\nx\r\n");
    CHECK(f.deliver(batch[5])->uid == 2); // a refusal is not remembered
}

TEST_CASE("a body that is no regular file is not filed") {
    Fixture f;
    const auto delivery = f.delivery(1);
    const auto path = f.dir + "/" + BodyName::of(delivery.key).path();
    std::filesystem::remove(path);
    std::filesystem::create_symlink("/etc/hostname", path);
    CHECK(f.deliver(delivery).error() == Refusal::no_body);
    std::filesystem::remove(path);
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    CHECK(f.deliver(delivery).error() == Refusal::no_body);
}

TEST_CASE("filing does not load the mailbox, but tells those who have") {
    Fixture f;
    REQUIRE(f.deliver(f.delivery(1)).ok());
    auto* account = static_cast<SqliteAccount*>(f.account.get());
    CHECK(account->index().find("INBOX")->loaded.expired());
    const auto inbox = f.select();
    View view(*f.account, inbox, false);
    bool woken = false;
    view.on_change = [&] { woken = true; };
    REQUIRE(f.deliver(f.delivery(2)).ok());
    CHECK(woken);
    CHECK(view.sync(true).exists);
    CHECK(view.count() == 2);
}

TEST_CASE("keys are forgotten a week after the queue is done with them, and only then") {
    constexpr int64_t kDayMs = 86'400'000;
    Fixture f;
    const auto old = f.delivery(1), young = f.delivery(2);
    const UtcTime begin = f.clock.time;
    REQUIRE(f.deliver(old).ok());
    f.clock.time.ms += 30 * kDayMs;
    REQUIRE(f.deliver(young).ok());
    const auto inbox = f.select();
    REQUIRE(f.account->discard(*inbox, Uids{1, 2}, nullptr).ok());
    f.tidy_all(); // the queue has not said anything
    CHECK(f.deliver(old)->already);

    f.account->forget_deliveries(UtcTime{begin.ms + 6 * kDayMs});
    f.tidy_all();
    CHECK(f.deliver(old)->already);

    f.clock.time.ms += 2 * kDayMs; // it is looked through once a day
    f.account->forget_deliveries(UtcTime{begin.ms + 8 * kDayMs});
    f.account->forget_deliveries(UtcTime{begin.ms}); // what is known stays known
    f.tidy_all();
    CHECK(f.deliver(young)->already);
    f.link_body(old.key, "x");
    CHECK_FALSE(f.deliver(old)->already);

    f.clock.time.ms += 2 * kDayMs; // a queue whose clock runs ahead takes nothing away
    f.account->forget_deliveries(UtcTime{begin.ms + 365 * kDayMs});
    f.tidy_all();
    CHECK(f.deliver(young)->already);
}

TEST_CASE("facts of a delivery are computed when it is filed") {
    Fixture f;
    f.options.facts = {[](std::string_view message) {
                           MessageFacts facts;
                           facts.envelope = message.substr(0, 11);
                           return facts;
                       },
                       1};
    f.open();
    REQUIRE(f.deliver(f.delivery(1)).ok());
    std::string seen;
    REQUIRE(f.account
                ->read_facts(f.select()->entries(), FactsPart::structure,
                             [&](const Entry&, const FactsView& view) {
                                 seen = view.envelope;
                                 return true;
                             })
                .ok());
    CHECK(seen == "Return-Path");
}

// In a child: the file size limit stands for the full disk (EFBIG is treated like ENOSPC).
TEST_CASE("on a full disk nothing is half done and deleting works") {
    Fixture f;
    for (int i = 0; i < 20; ++i)
        f.append("INBOX", std::string(3000, 'x'));
    f.tidy_all();
    std::vector<Delivery> batch;
    for (uint64_t i = 1; i <= 2000; ++i) {
        batch.push_back(f.delivery(i));
        batch.back().prefix = std::string(2000, 'p');
    }
    f.account.reset();
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        auto opened = Account::open(f.dir, f.options);
        auto account = std::move(*opened);
        const rlimit limit{1 << 20, 1 << 20};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        int code = 0;
        const auto outcomes = account->deliver(batch);
        for (const auto& outcome : outcomes) {
            if (outcome.ok() || outcome.error() != Refusal::disk_full) code = 1;
        }
        if (account->failure() || account->status("INBOX")->messages != 20) code = 2;
        auto inbox = *account->select("INBOX");
        if (inbox->entries().size() != 20) code = 3;
        if (!account->discard(*inbox, Uids{1, 2, 3}, nullptr).ok()) code = 4;
        auto one = account->deliver(std::span(batch).first(1));
        if (!one[0].ok() || one[0]->uid != 21) code = 5;
        inbox.reset();
        account.reset();
        ::_exit(code);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
    f.open();
    CHECK(f.status().messages == 18);
}

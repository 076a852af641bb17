#include "tests/unit/store/fixture.h"

using namespace tambo;
using namespace tambo::store;

namespace {

struct Events final : AccountObserver {
    Names log;
    void mailbox_created(std::string_view name) override { log.push_back(cat("+", name)); }
    void mailbox_deleted(std::string_view name) override { log.push_back(cat("-", name)); }
    void mailbox_renamed(std::string_view from, std::string_view to) override {
        log.push_back(cat(from, ">", to));
    }
    void subscription_changed(std::string_view name, bool on) override {
        log.push_back(cat(on ? "s " : "u ", name));
    }
    void status_changed(std::string_view name) override { log.push_back(cat("* ", name)); }
    Names take() { return std::exchange(log, {}); }
};

const Names kStart{"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"};

Names with(Names more) {
    Names all = kStart;
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

} // namespace

TEST_CASE("create makes parents; names are refused as they should be") {
    Fixture f;
    CHECK(*f.account->create("w/x/y") == Names{"w", "w/x", "w/x/y"});
    CHECK(*f.account->create("w/x/z") == Names{"w/x/z"});
    CHECK(f.names() == with({"w", "w/x", "w/x/y", "w/x/z"}));
    CHECK(f.account->info("w")->has_children);
    CHECK_FALSE(f.account->info("w/x/y")->has_children);
    CHECK(f.account->create("w").error() == Refusal::already_exists);
    CHECK(f.account->create("inbox").error() == Refusal::already_exists);
    CHECK(f.account->create("../../x").error() == Refusal::cannot);
    CHECK(f.account->create("new", kUseDrafts).error() == Refusal::cannot);
    REQUIRE(f.account->create("INBOX/sub", kUseFlagged).ok());
    CHECK(f.account->find_use(kUseFlagged) == "INBOX/sub");
    f.open();
    CHECK(f.names() == Names{"INBOX", "Archive", "Drafts", "INBOX/sub", "Junk", "Sent", "Trash",
                             "w", "w/x", "w/x/y", "w/x/z"});
    CHECK(f.account->find_use(kUseFlagged) == "INBOX/sub");
    CHECK(std::filesystem::is_empty(f.top + "/account/bodies/00")); // nothing but rows
}

TEST_CASE("remove: children keep the place, empty places go, UIDVALIDITY never returns") {
    Fixture f;
    REQUIRE(f.account->create("a/b/c").ok());
    const auto first = f.status("a/b").uidvalidity;
    f.append("a/b");
    REQUIRE(f.account->remove("a/b").ok());
    REQUIRE(f.account->remove("a").ok());
    CHECK(f.names() == with({"(a)", "(a/b)", "a/b/c"}));
    CHECK(f.account->select("a/b").error() == Refusal::not_selectable);
    CHECK(f.account->status("a/b").error() == Refusal::not_selectable);
    CHECK(f.account->remove("a/b").error() == Refusal::has_children);
    CHECK(f.account->usage().messages == 0);
    f.open();
    CHECK(f.names() == with({"(a)", "(a/b)", "a/b/c"}));
    CHECK(*f.account->create("a/b") == Names{"a/b"});
    CHECK(f.status("a/b").uidvalidity > first);
    CHECK(f.status("a/b").messages == 0);
    CHECK(f.append("a/b") == 1);
    REQUIRE(f.account->remove("a/b").ok());
    REQUIRE(f.account->remove("a/b/c").ok());
    CHECK(f.names() == kStart);
    CHECK(f.account->remove("INBOX").error() == Refusal::cannot);
    CHECK(f.account->remove("none").error() == Refusal::nonexistent);
    f.tidy_all();
    CHECK(f.bodies() == 0);
    REQUIRE(f.account->remove("Sent").ok());
    f.open();
    CHECK_FALSE(f.account->find_use(kUseSent)); // defaults are made once
}

TEST_CASE("a removed mailbox that is selected is gone for its session") {
    Fixture f;
    REQUIRE(f.account->create("x").ok());
    f.append("x", "text");
    auto mailbox = f.select("x");
    {
        View view(*f.account, mailbox, false);
        REQUIRE(f.account->remove("x").ok());
        CHECK(mailbox->is_deleted());
        CHECK(f.account->store_flags(*mailbox, Uids{1}, {}, nullptr).error() ==
              Refusal::nonexistent);
        CHECK(f.account->expunge(*mailbox, std::nullopt, nullptr).error() == Refusal::nonexistent);
        f.tidy_all();
        CHECK(f.text(view.at(1)) == "text"); // still readable until the view knows
        REQUIRE(f.account->create("x").ok());
        f.append("x", "other");
        const auto changes = view.sync(true);
        CHECK(changes.gone);
        CHECK(changes.expunged == Uids{1});
        CHECK_FALSE(changes.exists);
        CHECK(view.sync(true).empty());
    }
    f.tidy_all();
    CHECK(f.bodies() == 1);
    CHECK_FALSE(f.select("x") == mailbox);
}

TEST_CASE("rename moves the tree, sessions keep their mailbox") {
    Fixture f;
    Events events;
    f.account->observe(events);
    REQUIRE(f.account->create("a/b/c", kUseFlagged).ok());
    f.append("a/b");
    const auto held = f.select("a/b");
    const auto before = f.status("a/b");
    events.take();
    REQUIRE(f.account->rename("a/b", "n/m").ok());
    CHECK(events.take() == Names{"+n", "a/b>n/m", "a/b/c>n/m/c"});
    CHECK(f.names() == with({"a", "n", "n/m", "n/m/c"}));
    CHECK(held->name() == "n/m");
    CHECK(f.select("n/m") == held);
    CHECK(f.status("n/m").uidvalidity == before.uidvalidity);
    CHECK(f.status("n/m").mailbox_id == before.mailbox_id);
    CHECK(f.account->find_use(kUseFlagged) == "n/m/c");
    CHECK(f.append("n/m") == 2);
    CHECK(f.account->rename("n/m", "n/m/inner").error() == Refusal::cannot);
    CHECK(f.account->rename("n", "a").error() == Refusal::already_exists);
    CHECK(f.account->rename("zz", "yy").error() == Refusal::nonexistent);
    CHECK(f.account->rename("n", "..").error() == Refusal::cannot);
    REQUIRE(f.account->remove("n").ok());
    REQUIRE(f.account->rename("n/m", "top").ok()); // its \Noselect parent goes
    CHECK(f.names() == with({"a", "top", "top/c"}));
    f.account->ignore(events);
    f.open();
    CHECK(f.names() == with({"a", "top", "top/c"}));
    CHECK(f.select("top")->entries().size() == 2);
}

TEST_CASE("rename of INBOX moves its messages only") {
    Fixture f;
    REQUIRE(f.account->create("INBOX/child").ok());
    f.append("INBOX", "one", kSeen);
    f.append("INBOX", "two");
    const auto inbox = f.select();
    REQUIRE(f.account->store_flags(*inbox, Uids{2}, {StoreMode::add, 0, {"K"}, {}}, nullptr).ok());
    const auto validity = inbox->status().uidvalidity;
    REQUIRE(f.account->rename("inbox", "old/mail").ok());
    CHECK(inbox->entries().empty());
    CHECK(f.status().uidvalidity == validity);
    CHECK(f.status().uidnext == 3);
    CHECK(f.account->info("INBOX/child"));
    const auto moved = f.select("old/mail");
    REQUIRE(moved->entries().size() == 2);
    CHECK(f.text(moved->entries()[0]) == "one");
    CHECK(moved->keywords().names(moved->entries()[1].keywords) == Names{"K"});
    CHECK(f.account->rename("INBOX", "old").error() == Refusal::already_exists);
    REQUIRE(f.account->rename("INBOX", "empty").ok());
    CHECK(f.account->usage().messages == 2);
    f.tidy_all();
    CHECK(f.bodies() == 2);
    f.open();
    CHECK(f.select("old/mail")->entries().size() == 2);
    CHECK(f.append() == 3);
}

TEST_CASE("subscriptions are names") {
    Fixture f;
    Events events;
    f.account->observe(events);
    REQUIRE(f.account->subscribe("no/such", true).ok());
    REQUIRE(f.account->subscribe("no/such", true).ok());
    REQUIRE(f.account->subscribe("inbox", false).ok());
    CHECK(f.account->subscribe("a//b", true).error() == Refusal::cannot);
    CHECK(events.take() == Names{"s no/such", "u INBOX"});
    f.account->ignore(events);
    f.open();
    CHECK(f.account->subscriptions() ==
          Names{"Archive", "Drafts", "Junk", "Sent", "Trash", "no/such"});
    CHECK_FALSE(f.account->info("INBOX")->subscribed);
}

TEST_CASE("counters of mailboxes that nobody selected are told") {
    Fixture f;
    Events events;
    f.account->observe(events);
    f.append("Sent");
    REQUIRE(f.deliver(f.delivery(1)).ok());
    const auto inbox = f.select();
    REQUIRE(f.account->move(*inbox, Uids{1}, "Trash", nullptr).ok());
    CHECK(events.take() == Names{"* Sent", "* INBOX", "* Trash", "* INBOX"});
    f.account->ignore(events);
}

TEST_CASE("there is a limit to mailboxes") {
    Fixture f;
    std::string deep = "d";
    for (int i = 0; i < 30; ++i)
        deep += "/d";
    for (int tree = 0; tree < 400; ++tree) {
        if (!f.account->create(cat("t", tree, "/", deep)).ok()) break;
    }
    CHECK(f.account->list().size() > 9'950);
    CHECK(f.account->create(cat("last/", deep)).error() == Refusal::limit);
    CHECK(f.account->list().size() <= 10'000);
}

#include "tests/unit/store/fixture.h"

#include "common/store/sqlite_account.h"

using namespace tambo;
using namespace tambo::store;

TEST_CASE("a new account has its mailboxes") {
    Fixture f;
    CHECK(f.names() == Names{"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"});
    CHECK(f.account->find_use(kUseDrafts) == "Drafts");
    CHECK(f.account->info("inbox")->subscribed);
    const auto status = f.status();
    CHECK(status.messages == 0);
    CHECK(status.uidnext == 1);
    CHECK(status.highestmodseq >= 1);
    CHECK_FALSE(status.mailbox_id.is_nil());
    CHECK(status.uidvalidity != f.status("Sent").uidvalidity);
}

TEST_CASE("append: what goes in comes out, counters follow, everything is there again") {
    Fixture f;
    std::vector<NewMessage> messages;
    messages.push_back(f.message("Subject: one\r\n\r\nbody\r\n", kSeen));
    messages.push_back(f.message("Subject: two\r\n\r\n", kFlagged | kDeleted));
    messages[0].prefix = "X-Prefix: 1\r\n";
    messages[0].internaldate = UtcTime::from_seconds(-86400);
    messages[1].keywords = {"$Label", "Other"};
    const auto appended = f.account->append("inbox", std::move(messages), nullptr);
    REQUIRE(appended.ok());
    CHECK(appended->uids == Uids{1, 2});
    CHECK(appended->uidvalidity == f.status().uidvalidity);
    for (const bool reopened : {false, true}) {
        if (reopened) f.open();
        const auto inbox = f.select();
        REQUIRE(inbox->entries().size() == 2);
        const Entry one = inbox->entries()[0], two = inbox->entries()[1];
        CHECK(one.size == 13 + 22);
        CHECK(one.flags == kSeen);
        CHECK(one.internaldate() == UtcTime::from_seconds(-86400));
        CHECK(two.internaldate() == f.clock.now());
        CHECK(two.modseq == one.modseq);
        CHECK(inbox->keywords().names(two.keywords) == Names{"$Label", "Other"});
        CHECK(f.text(one) == "X-Prefix: 1\r\nSubject: one\r\n\r\nbody\r\n");
        CHECK(inbox->first_unseen() == 1u);
        const auto& status = inbox->status();
        CHECK(status.messages == 2);
        CHECK(status.unseen == 1);
        CHECK(status.deleted == 1);
        CHECK(status.recent == 2);
        CHECK(status.bytes == one.size + two.size);
        CHECK(status.uidnext == 3);
        CHECK(status.highestmodseq == one.modseq);
        CHECK(f.account->usage().messages == 2);
        CHECK(f.account->usage().bytes == status.bytes);
        const auto aux = f.account->read_aux(*inbox, std::nullopt);
        REQUIRE(aux.ok());
        REQUIRE(aux->size() == 2);
        CHECK(aux->at(0).savedate == f.clock.now());
        CHECK(aux->at(0).created_modseq == one.modseq);
        CHECK_FALSE(aux->at(0).email_id == aux->at(1).email_id);
    }
    CHECK(f.bodies() == 2);
}

TEST_CASE("append refuses what it must and leaves no file") {
    Fixture f;
    const auto try_append = [&](std::string_view mailbox) {
        std::vector<NewMessage> messages;
        messages.push_back(f.message("x"));
        const auto outcome = f.account->append(mailbox, std::move(messages), nullptr);
        REQUIRE_FALSE(outcome.ok());
        return outcome.error();
    };
    CHECK(try_append("nosuch") == Refusal::nonexistent);
    REQUIRE(f.account->create("a/b").ok());
    REQUIRE(f.account->remove("a").ok());
    CHECK(try_append("a") == Refusal::not_selectable);
    f.account->set_quota({0, 1});
    f.append();
    CHECK(try_append("INBOX") == Refusal::over_quota);
    f.account->set_quota({11, 0});
    CHECK(try_append("INBOX") == Refusal::over_quota);
    f.account->set_quota({12, 0});
    f.append("INBOX", "1");
    CHECK(f.bodies() == 2);
    { auto abandoned = f.message("never appended"); }
    CHECK(f.bodies() == 2);
    f.options.disk_reserve_bytes = UINT64_MAX;
    f.open();
    CHECK(f.account->new_body().error() == Refusal::disk_full);
    f.options.read_only = true;
    f.open();
    CHECK(f.account->new_body().error() == Refusal::read_only);
    CHECK(f.select()->entries().size() == 2);
}

TEST_CASE("store: add, remove, replace, unchanged since") {
    Fixture f;
    for (int i = 0; i < 5; ++i)
        f.append();
    const auto inbox = f.select();
    const Uids some{1, 3, 5, 9};
    auto outcome =
        f.account->store_flags(*inbox, some, {StoreMode::add, kSeen, {"K"}, {}}, nullptr);
    REQUIRE(outcome.ok());
    CHECK(outcome->changed == Uids{1, 3, 5});
    CHECK(inbox->status().unseen == 2);
    CHECK(inbox->find(3)->modseq == outcome->modseq);
    CHECK(inbox->find(2)->modseq < outcome->modseq);
    CHECK(inbox->status().highestmodseq == outcome->modseq);
    CHECK(inbox->first_unseen() == 1u);

    outcome = f.account->store_flags(*inbox, some, {StoreMode::add, kSeen, {}, {}}, nullptr);
    REQUIRE(outcome.ok());
    CHECK(outcome->changed.empty()); // no change, no modseq
    CHECK(outcome->modseq == 0);

    const uint64_t limit = inbox->find(2)->modseq;
    outcome =
        f.account->store_flags(*inbox, Uids{1, 2}, {StoreMode::add, kFlagged, {}, limit}, nullptr);
    REQUIRE(outcome.ok());
    CHECK(outcome->changed == Uids{2});
    CHECK(outcome->modified == Uids{1});

    outcome = f.account->store_flags(*inbox, Uids{1, 2}, {StoreMode::replace, kDraft, {"L"}, {}},
                                     nullptr);
    REQUIRE(outcome.ok());
    CHECK(inbox->find(1)->flags == kDraft);
    CHECK(inbox->keywords().names(inbox->find(1)->keywords) == Names{"L"});
    outcome = f.account->store_flags(*inbox, Uids{3}, {StoreMode::remove, kSeen, {"k", "no"}, {}},
                                     nullptr);
    REQUIRE(outcome.ok());
    CHECK(inbox->find(3)->flags == 0);
    CHECK(inbox->find(3)->keywords == 0);
    CHECK(inbox->first_unseen() == 0u);
    CHECK_FALSE(inbox->keywords().bit("no"));
    const auto before = std::vector<Entry>(inbox->entries().begin(), inbox->entries().end());
    f.open();
    const auto again = f.select();
    for (size_t i = 0; i < before.size(); ++i) {
        CHECK(again->entries()[i].flags == before[i].flags);
        CHECK(again->entries()[i].keywords == before[i].keywords);
        CHECK(again->entries()[i].modseq == before[i].modseq);
    }
    CHECK(again->status().unseen == 4);
}

TEST_CASE("keywords: 64 names, then those that nobody uses make room") {
    Fixture f;
    f.append();
    f.append();
    const auto inbox = f.select();
    for (int i = 0; i < 64; ++i) {
        FlagChange change{StoreMode::replace, 0, {cat("k", i)}, {}};
        if (i < 2) change.keywords = {cat("k", i), cat("shared", i)};
        REQUIRE(f.account->store_flags(*inbox, i < 2 ? Uids{2} : Uids{1}, change, nullptr).ok());
    }
    CHECK(inbox->keywords().bit("k63"));
    const auto outcome =
        f.account->store_flags(*inbox, Uids{1}, {StoreMode::replace, 0, {"new"}, {}}, nullptr);
    REQUIRE(outcome.ok());
    CHECK_FALSE(outcome->keywords_dropped);
    CHECK(inbox->keywords().names(inbox->find(1)->keywords) == Names{"new"});
    CHECK(inbox->keywords().names(inbox->find(2)->keywords) == Names{"k1", "shared1"});
    std::vector<std::string> many;
    for (int i = 0; i < 70; ++i)
        many.push_back(cat("m", i));
    const auto full =
        f.account->store_flags(*inbox, Uids{1}, {StoreMode::replace, 0, many, {}}, nullptr);
    REQUIRE(full.ok());
    CHECK(full->keywords_dropped);
    f.open();
    CHECK(f.select()->keywords().names(f.select()->find(2)->keywords) == Names{"k1", "shared1"});
}

TEST_CASE("expunge: rows at once, bodies after the delay, tombstones stay") {
    Fixture f;
    f.options.unlink_delay_ms = 1000;
    f.open();
    for (int i = 0; i < 4; ++i)
        f.append("INBOX", "12345");
    auto inbox = f.select();
    const uint64_t before = inbox->status().highestmodseq;
    REQUIRE(f.account->store_flags(*inbox, Uids{2, 3}, {StoreMode::add, kDeleted, {}, {}}, nullptr)
                .ok());
    auto gone = f.account->expunge(*inbox, Uids{1, 3}, nullptr);
    REQUIRE(gone.ok());
    CHECK(*gone == Uids{3});
    gone = f.account->expunge(*inbox, std::nullopt, nullptr);
    CHECK(*gone == Uids{2});
    gone = f.account->expunge(*inbox, std::nullopt, nullptr);
    CHECK(gone->empty());
    CHECK(uids_in(*inbox) == Uids{1, 4});
    CHECK(f.account->usage().messages == 2);
    CHECK(f.account->usage().bytes == 10);
    CHECK(inbox->status().deleted == 0);
    f.tidy_all();
    CHECK(f.bodies() == 4);
    f.clock.time.ms += 1000;
    f.tidy_all();
    CHECK(f.bodies() == 2);
    CHECK(**f.account->vanished_since(*inbox, before) == Uids{2, 3});
    CHECK((**f.account->vanished_since(*inbox, inbox->status().highestmodseq)).empty());
    CHECK(*f.account->discard(*inbox, Uids{1, 2, 4}, nullptr) == Uids{1, 4});
    CHECK(inbox->entries().empty());
    inbox.reset();
    f.open();
    inbox = f.select();
    CHECK(inbox->entries().empty());
    CHECK(inbox->status().uidnext == 5);
    CHECK((**f.account->vanished_since(*inbox, before)).size() == 4);
}

TEST_CASE("copy shares the body, the last one to go takes it along") {
    Fixture f;
    f.append("INBOX", "one", kSeen);
    f.append("INBOX", "two");
    auto inbox = f.select();
    REQUIRE(
        f.account->store_flags(*inbox, Uids{1}, {StoreMode::add, 0, {"Tag"}, {}}, nullptr).ok());
    f.clock.time.ms += 60'000;
    const auto copied = f.account->copy(*inbox, Uids{1, 2, 7}, "Archive", nullptr);
    REQUIRE(copied.ok());
    CHECK(copied->from == Uids{1, 2});
    CHECK(copied->to == Uids{1, 2});
    CHECK(copied->uidvalidity == f.status("Archive").uidvalidity);
    CHECK(f.bodies() == 2);
    auto archive = f.select("Archive");
    CHECK(archive->entries()[0].flags == kSeen);
    CHECK(archive->keywords().names(archive->entries()[0].keywords) == Names{"Tag"});
    CHECK(archive->entries()[0].internaldate() == inbox->entries()[0].internaldate());
    const auto aux = f.account->read_aux(*archive, Uids{1});
    CHECK(aux->at(0).savedate == f.clock.now());
    CHECK(aux->at(0).email_id == f.account->read_aux(*inbox, Uids{1})->at(0).email_id);
    CHECK(f.account->usage().messages == 4);
    REQUIRE(f.account->copy(*inbox, Uids{1}, "INBOX", nullptr).ok());
    CHECK(uids_in(*inbox) == Uids{1, 2, 3});
    REQUIRE(f.account->discard(*inbox, Uids{1, 2, 3}, nullptr).ok());
    f.tidy_all();
    CHECK(f.bodies() == 2);
    CHECK(f.text(archive->entries()[1]) == "two");
    REQUIRE(f.account->discard(*archive, Uids{1}, nullptr).ok());
    f.tidy_all();
    CHECK(f.bodies() == 1);
    f.account->set_quota({0, 1});
    CHECK(f.account->copy(*archive, Uids{2}, "INBOX", nullptr).error() == Refusal::over_quota);
    CHECK(f.account->copy(*archive, Uids{2}, "none", nullptr).error() == Refusal::nonexistent);
}

TEST_CASE("move keeps the content and is one change") {
    Fixture f;
    for (int i = 0; i < 3; ++i)
        f.append();
    auto inbox = f.select();
    f.account->set_quota({0, 1}); // moving needs no room
    auto moved = f.account->move(*inbox, Uids{1, 3}, "Trash", nullptr);
    REQUIRE(moved.ok());
    CHECK(moved->to == Uids{1, 2});
    CHECK(uids_in(*inbox) == Uids{2});
    const auto trash = f.select("Trash");
    CHECK(trash->entries().size() == 2);
    CHECK(trash->status().highestmodseq == inbox->status().highestmodseq);
    moved = f.account->move(*inbox, Uids{2}, "INBOX", nullptr); // RFC 6851 3.3: a new uid
    REQUIRE(moved.ok());
    CHECK(uids_in(*inbox) == Uids{4});
    f.tidy_all();
    CHECK(f.bodies() == 3);
    f.open();
    CHECK(uids_in(*f.select()) == Uids{4});
    CHECK(f.account->usage().messages == 3);
}

TEST_CASE("facts are computed once, kept, and computed anew by a newer parser") {
    Fixture f;
    f.append("INBOX", "Subject: x\r\n\r\n"); // without a parser: later
    static int calls;
    calls = 0;
    const auto parse = [](std::string_view message) {
        ++calls;
        MessageFacts facts;
        facts.envelope = cat("env ", message.size());
        facts.bodystructure = "bs";
        facts.subject = std::string(message.substr(9, 1));
        facts.header = "h";
        facts.sent_s = -7;
        return facts;
    };
    f.options.facts = {parse, 1};
    f.open();
    f.append("INBOX", "Subject: y\r\n\r\nlonger");
    CHECK(calls == 1);
    const auto read = [&](FactsPart part) {
        std::string out;
        const auto inbox = f.select();
        const auto done =
            f.account->read_facts(inbox->entries(), part, [&](const Entry& e, const FactsView& v) {
                out += cat(e.uid, ':', v.envelope, ',', v.bodystructure, ',', v.subject, ',',
                           v.header, ',', v.sent_s.value_or(0), ' ');
                return true;
            });
        REQUIRE(done.ok());
        return out;
    };
    CHECK(read(FactsPart::structure) == "1:env 14,bs,x,h,-7 2:env 20,bs,,,-7 ");
    CHECK(calls == 2);
    CHECK(read(FactsPart::structure) == "1:env 14,bs,,,-7 2:env 20,bs,,,-7 ");
    CHECK(read(FactsPart::text) == "1:,,x,h,-7 2:,,y,h,-7 ");
    CHECK(calls == 2);
    f.options.facts.version = 2;
    f.open();
    read(FactsPart::text);
    read(FactsPart::text);
    CHECK(calls == 4);
    int seen = 0;
    const auto inbox = f.select();
    REQUIRE(f.account
                ->read_facts(inbox->entries(), FactsPart::text,
                             [&](const Entry&, const FactsView&) { return ++seen < 1; })
                .ok());
    CHECK(seen == 1);
    std::filesystem::remove_all(f.dir + "/bodies");
    f.options.facts.version = 3;
    f.open();
    CHECK(read(FactsPart::structure) == "1:,,,,0 2:,,,,0 ");
    CHECK(f.account->open_message(f.select()->entries()[0]).error() == Refusal::no_body);
}

TEST_CASE("a reader gives ranges and the whole, small or large, while the file lasts") {
    Fixture f;
    std::string large = "Subject: l\r\n\r\n";
    for (int i = 0; i < 100'000; ++i)
        large += cat(i, "\r\n");
    for (const std::string& body : {std::string("abc"), std::string(), large}) {
        std::vector<NewMessage> messages;
        messages.push_back(f.message(body));
        messages[0].prefix = std::string(5000, 'p');
        REQUIRE(f.account->append("INBOX", std::move(messages), nullptr).ok());
        const auto inbox = f.select();
        const Entry entry = inbox->entries().back();
        auto reader = f.account->open_message(entry);
        REQUIRE(reader.ok());
        const std::string whole = std::string(5000, 'p') + body;
        REQUIRE(f.account->discard(*inbox, Uids{entry.uid}, nullptr).ok());
        f.tidy_all();
        CHECK(reader->size() == whole.size());
        CHECK((reader->text() == whole));
        CHECK((reader->text() == whole));
        for (const auto& [at, count] : {std::pair<size_t, size_t>{0, 10},
                                        {4990, 20},
                                        {5000, 2},
                                        {whole.size() - 1, 10},
                                        {whole.size() + 5, 10}}) {
            std::string out = "x";
            reader->append_to(out, at, count);
            CHECK(out == "x" + (at < whole.size() ? whole.substr(at, count) : ""));
        }
    }
    CHECK(f.bodies() == 0);
}

TEST_CASE("a body shorter than recorded is an error, not a crash") {
    Fixture f;
    f.append("INBOX", "0123456789");
    const auto inbox = f.select();
    for (const auto& file : std::filesystem::recursive_directory_iterator(f.dir + "/bodies")) {
        if (file.is_regular_file()) std::filesystem::resize_file(file.path(), 3);
    }
    auto reader = f.account->open_message(inbox->entries()[0]);
    REQUIRE(reader.ok());
    char buffer[16];
    CHECK(reader->read(0, buffer, 3) == 3);
    CHECK_THROWS_AS(reader->read(0, buffer, 10), std::system_error);
}

TEST_CASE("a large body shorter than recorded is not mapped: its pages are not there") {
    for (const size_t left : {0u, 3u, 300'000u, 599'999u}) {
        Fixture f;
        f.append("INBOX", std::string(600'000, 'x'));
        const auto inbox = f.select();
        for (const auto& file : std::filesystem::recursive_directory_iterator(f.dir + "/bodies")) {
            if (file.is_regular_file()) std::filesystem::resize_file(file.path(), left);
        }
        auto reader = f.account->open_message(inbox->entries()[0]);
        REQUIRE(reader.ok());
        CHECK_THROWS_AS(std::string(reader->text()), std::system_error);
        CHECK_FALSE(f.account->failure()); // of this message alone
    }
}

TEST_CASE("pop3's lock is for one") {
    Fixture f;
    CHECK(f.account->lock_maildrop());
    CHECK_FALSE(f.account->lock_maildrop());
    f.account->unlock_maildrop();
    CHECK(f.account->lock_maildrop());
}

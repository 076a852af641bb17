#include "tests/unit/store/fixture.h"

#include "common/store/fsck.h"
#include "common/store/sqlite_account.h"

#include <map>

using namespace tambo;
using namespace tambo::store;

namespace {

struct FsckFixture : Fixture {
    FsckOptions fsck_options;

    FsckReport run(bool repair = false) {
        account.reset();
        fsck_options.store = options;
        fsck_options.repair = repair;
        fsck_options.orphan_age_ms = INT64_MIN;
        const auto report = fsck(dir, fsck_options);
        REQUIRE(report.ok());
        return *report;
    }
    Index& index() { return static_cast<SqliteAccount*>(account.get())->index(); }
    std::vector<std::string> body_files() const {
        std::vector<std::string> out;
        for (const auto& file : std::filesystem::recursive_directory_iterator(dir + "/bodies")) {
            if (!file.is_directory()) out.push_back(file.path());
        }
        std::sort(out.begin(), out.end());
        return out;
    }
};

std::vector<FsckKind> kinds(const FsckReport& report) {
    std::vector<FsckKind> out;
    for (const auto& finding : report.findings)
        out.push_back(finding.kind);
    return out;
}

using Kinds = std::vector<FsckKind>;

} // namespace

TEST_CASE("a sound account has no findings") {
    FsckFixture f;
    f.append("INBOX", "12345");
    REQUIRE(f.deliver(f.delivery(1)).ok());
    REQUIRE(f.account->copy(*f.select(), Uids{1, 2}, "Sent", nullptr).ok());
    REQUIRE(f.account->discard(*f.select(), Uids{1}, nullptr).ok());
    REQUIRE(f.account->create("a/b").ok());
    REQUIRE(f.account->remove("a").ok());
    for (const bool repair : {false, true}) {
        const auto report = f.run(repair);
        CHECK(report.usable);
        CHECK(report.findings.empty());
        CHECK(report.mailboxes == 8);
        CHECK(report.messages == 3);
        CHECK(report.bodies == 2);
        CHECK(report.body_bytes == 16);
    }
    f.open();
    CHECK(fsck(f.dir, f.fsck_options).error() == Refusal::busy);
    CHECK(fsck(f.top + "/none", f.fsck_options).error() == Refusal::nonexistent);
}

TEST_CASE("wrong counters and references are found and put right") {
    FsckFixture f;
    f.append();
    f.append();
    REQUIRE(f.account->copy(*f.select(), Uids{1}, "Sent", nullptr).ok());
    f.index().db().run("UPDATE mailbox SET unseen=7, bytes=1 WHERE name='INBOX'");
    f.index().db().run("DELETE FROM shared");
    f.index().db().run("INSERT INTO dead VALUES(2, 0)");
    CHECK(kinds(f.run()) ==
          Kinds{FsckKind::counter_wrong, FsckKind::reference_wrong, FsckKind::reference_wrong});
    const auto repaired = f.run(true);
    CHECK(repaired.findings_total == 3);
    CHECK(repaired.findings[0].repaired);
    CHECK(repaired.findings[0].subject == "INBOX");
    CHECK(f.run().findings.empty());
    f.open();
    CHECK(f.status().unseen == 2);
    CHECK(f.account->usage().bytes == 33);
    f.tidy_all();
    CHECK(f.bodies() == 2);
}

TEST_CASE("messages without content or body are expunged, with a new uid where the size is wrong") {
    FsckFixture f;
    f.append("INBOX", "one");
    f.append("INBOX", "two");
    f.append("INBOX", "three", kFlagged);
    f.append("INBOX", "four");
    f.index().db().run("DELETE FROM content WHERE id=1");
    const auto files = f.body_files();
    std::map<std::string, std::string> by_text;
    for (const auto& file : files) {
        std::ifstream in(file);
        std::string text;
        in >> text;
        by_text[text] = file;
    }
    std::filesystem::remove(by_text["one"]);
    std::filesystem::remove(by_text["two"]);
    std::filesystem::resize_file(by_text["three"], 2);
    CHECK(kinds(f.run()) ==
          Kinds{FsckKind::entry_invalid, FsckKind::body_missing, FsckKind::body_size_wrong});
    f.run(true);
    CHECK(f.run().findings.empty());
    f.open();
    const auto inbox = f.select();
    CHECK(uids_in(*inbox) == Uids{4, 5});
    CHECK(f.text(*inbox->find(5)) == "th");
    CHECK(inbox->find(5)->size == 2);
    CHECK(inbox->find(5)->flags == kFlagged);
    CHECK(inbox->status().bytes == 6);
}

TEST_CASE("bodies that nobody knows are filed, foreign files are left") {
    FsckFixture f;
    f.append();
    const auto delivery = f.delivery(5); // linked, never filed
    std::ofstream(f.dir + "/bodies/00/README") << "x";
    std::ofstream(f.dir + "/bodies/note") << "x";
    std::filesystem::create_symlink("/etc/hostname", f.dir + "/bodies/01/link");
    CHECK(f.run().findings_total == 4);
    f.account.reset();
    f.fsck_options.orphan_age_ms = 3'600'000;
    f.clock.time = UtcTime::from_seconds(::time(nullptr));
    CHECK(fsck(f.dir, f.fsck_options)->findings_total == 3); // too young to be lost
    auto report = f.run(true);
    CHECK(report.findings_total == 4);
    report = f.run();
    CHECK(kinds(report) ==
          Kinds{FsckKind::foreign_file, FsckKind::foreign_file, FsckKind::foreign_file});
    f.open();
    const auto found = f.select(kLostAndFound);
    REQUIRE(found->entries().size() == 1);
    CHECK(f.text(found->entries()[0]) == "s: t\r\n\r\nx\r\n");
    CHECK(f.deliver(delivery)->already);
    CHECK(std::filesystem::exists(f.dir + "/bodies/00/README"));
}

TEST_CASE("a damaged index gives way to the snapshot; later messages are found by their bodies") {
    FsckFixture f;
    f.append("Sent", "kept", kSeen);
    REQUIRE(f.account->create("own").ok());
    REQUIRE(f.account->snapshot().ok());
    f.append("INBOX", "later");
    REQUIRE(f.account->remove("own").ok());
    const auto validity = f.status("Sent").uidvalidity;
    f.account.reset();
    std::filesystem::resize_file(f.dir + "/index.db-wal", 0);
    std::ofstream(f.dir + "/index.db") << std::string(50'000, 'x');
    CHECK(Account::open(f.dir, f.options).error() == Refusal::corrupt);
    auto report = f.run();
    CHECK_FALSE(report.usable);
    CHECK(kinds(report) == Kinds{FsckKind::index_damaged});
    report = f.run(true);
    CHECK(report.usable);
    CHECK(report.restored_from == "snapshot.db");
    CHECK(report.messages == 2);
    CHECK(f.run().findings.empty());
    f.open();
    CHECK(f.status("Sent").uidvalidity > validity);
    CHECK(f.select("Sent")->entries()[0].flags == kSeen);
    CHECK(f.account->info("own"));
    CHECK(f.text(f.select(kLostAndFound)->entries()[0]) == "later");
    CHECK(std::filesystem::exists(f.dir + "/index.damaged"));
}

TEST_CASE("without index and snapshot all bodies come back in lost+found") {
    FsckFixture f;
    f.append("INBOX", "one");
    const auto delivery = f.delivery(1);
    REQUIRE(f.deliver(delivery).ok());
    const auto validity = f.status().uidvalidity;
    f.account.reset();
    std::filesystem::remove(f.dir + "/index.db");
    std::filesystem::remove(f.dir + "/index.db-wal");
    f.clock.time.ms += 60'000;
    CHECK_FALSE(f.run().usable);
    const auto report = f.run(true);
    CHECK(report.usable);
    CHECK(report.restored_from.empty());
    CHECK(report.messages == 2);
    f.open();
    CHECK(f.status().uidvalidity > validity);
    CHECK(f.deliver(delivery)->already);
}

TEST_CASE("a damaged snapshot is passed over for the older one") {
    FsckFixture f;
    f.append("INBOX", "one");
    REQUIRE(f.account->snapshot().ok());
    REQUIRE(f.account->snapshot().ok());
    f.account.reset();
    std::ofstream(f.dir + "/snapshot.db") << std::string(9000, 'y');
    std::filesystem::resize_file(f.dir + "/index.db-wal", 0); // it alone would bring all back
    std::ofstream(f.dir + "/index.db") << "short";
    const auto report = f.run(true);
    CHECK(report.restored_from == "snapshot.old.db");
    CHECK(report.messages == 1);
    CHECK(f.run().findings.empty());
}

TEST_CASE("an open account is checked under its sessions") {
    FsckFixture f;
    f.append("INBOX", "one");
    f.append("INBOX", "two");
    const auto inbox = f.select();
    View view(*f.account, inbox, false);
    f.index().db().run("DELETE FROM content WHERE id=2");
    f.fsck_options.repair = true;
    f.fsck_options.orphan_age_ms = INT64_MIN;
    const auto report = fsck(*f.account, f.fsck_options);
    REQUIRE(report.ok());
    CHECK(kinds(*report) == Kinds{FsckKind::entry_invalid, FsckKind::body_orphan});
    CHECK(view.sync(true).expunged == Uids{2});
    CHECK(f.text(f.select(kLostAndFound)->entries()[0]) == "two");
}

TEST_CASE("bodies are read and facts computed anew on request") {
    FsckFixture f;
    f.append("INBOX", "one");
    static int calls;
    calls = 0;
    f.options.facts = {[](std::string_view) {
                           ++calls;
                           return MessageFacts{"env", "bs", "", "", "", "", "", "", {}};
                       },
                       1};
    f.fsck_options.read_bodies = true;
    f.run();
    CHECK(calls == 0);
    f.run(true);
    CHECK(calls == 1);
    f.open();
    REQUIRE(f.account
                ->read_facts(f.select()->entries(), FactsPart::structure,
                             [](const Entry&, const FactsView& view) {
                                 CHECK(view.envelope == "env");
                                 return true;
                             })
                .ok());
    CHECK(calls == 1);
}

TEST_CASE("a malformed blob is damage, found and replaced") {
    FsckFixture f;
    for (int i = 0; i < 100; ++i)
        f.append();
    REQUIRE(f.account->snapshot().ok());
    {
        const auto inbox = f.select();
        f.index().fold(static_cast<LoadedMailbox&>(*inbox));
    }
    f.index().db().run("UPDATE block SET data=substr(data, 2)");
    f.open();
    CHECK(f.account->select("INBOX").error() == Refusal::corrupt);
    CHECK(f.account->failure() == Refusal::corrupt);
    CHECK(f.account->read_only());
    CHECK_FALSE(f.run().usable);
    CHECK(f.run(true).restored_from == "snapshot.db");
    f.open();
    CHECK(f.select()->entries().size() == 100);
}

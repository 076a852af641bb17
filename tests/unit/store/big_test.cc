// What a mailbox of 100,000 messages costs, in bytes and pages.
#include "tests/unit/store/fixture.h"

#include "common/store/sqlite_account.h"

using namespace tambo;
using namespace tambo::store;

namespace {

constexpr uint32_t kMany = 100'000;

// Many entries of a few contents: copies of copies.
void fill(Fixture& f) {
    f.append("INBOX", "12345678", kSeen);
    auto inbox = f.select();
    while (inbox->entries().size() < kMany) {
        auto uids = uids_in(*inbox);
        if (uids.size() * 2 > kMany) uids.resize(kMany - uids.size());
        REQUIRE(f.account->copy(*inbox, uids, "INBOX", nullptr).ok());
    }
    inbox.reset();
    f.tidy_all();
}

// Pages that go to the log while step() runs.
template <class Step>
int64_t pages_of(Fixture& f, Step step) {
    auto& db = static_cast<SqliteAccount*>(f.account.get())->index().db();
    REQUIRE(db.checkpoint());
    db.run("UPDATE account SET clean=0"); // the log starts anew
    const int64_t before = db.wal_pages();
    step();
    return db.wal_pages() - before;
}

} // namespace

TEST_CASE("a mailbox of 100,000 messages") {
    Fixture f;
    fill(f);
    auto& index = static_cast<SqliteAccount*>(f.account.get())->index();
    Row& row = *index.find("INBOX");
    CHECK(row.status.messages == kMany);
    const auto blocks = index.db().integer("SELECT count(*) FROM block").value();
    CHECK(blocks == (kMany + kBlockEntries - 1) / kBlockEntries);
    CHECK(index.db().integer("SELECT sum(length(data)) FROM block").value() == 20 * kMany);
    CHECK(index.db().integer("SELECT sum(length(data)) FROM aux").value() == 36 * kMany);

    const auto inbox = f.select();
    CHECK(inbox->entries().size() == kMany);
    CHECK(inbox->entries().size_bytes() == 40 * kMany);
    const auto all = uids_in(*inbox);

    const auto store = [&](std::span<const uint32_t> uids, const FlagChange& change) {
        return pages_of(
            f, [&] { REQUIRE(f.account->store_flags(*inbox, uids, change, nullptr).ok()); });
    };
    // One or all, a change is one small row: the log's leaf, the mailbox and at most the account.
    CHECK(store(Uids{5}, {StoreMode::add, kFlagged, {}, {}}) <= 4);
    CHECK(store(all, {StoreMode::add, kAnswered, {}, {}}) <= 4);
    // Folding that rewrites states, a byte for each message, not blocks.
    CHECK(pages_of(f, [&] { index.fold(static_cast<LoadedMailbox&>(*inbox)); }) < 60);
    CHECK(index.db().integer("SELECT sum(length(data)) FROM state").value() < 12 * kMany / 10);

    // A thousand scattered ones: tombstones and references, still no block.
    Uids some;
    for (uint32_t i = 0; i < 1000; ++i)
        some.push_back(i * 97 + 1);
    const auto pages =
        pages_of(f, [&] { REQUIRE(f.account->discard(*inbox, some, nullptr).ok()); });
    CHECK(pages < 20);
    CHECK(inbox->entries().size() == kMany - 1000);
    const auto expected = std::vector<Entry>(inbox->entries().begin(), inbox->entries().end());
    f.tidy_all();
    for (const auto& check_uid : {all[1], all[97 * 3 + 1], all.back()}) {
        CHECK(inbox->find(check_uid));
    }
    auto aux = f.account->read_aux(*inbox, std::nullopt);
    REQUIRE(aux.ok());
    CHECK(aux->size() == kMany - 1000);
}

TEST_CASE("entries, aux and blocks survive many changes, folded or not") {
    Fixture f;
    std::vector<Entry> expected;
    uint32_t turn = 0;
    for (int round = 0; round < 12; ++round) {
        for (int i = 0; i < 60; ++i)
            f.append();
        {
            const auto inbox = f.select();
            Uids gone, flagged;
            for (const uint32_t uid : uids_in(*inbox)) {
                ++turn;
                if (turn % 5 == 0) gone.push_back(uid);
                if (turn % 3 == 0) flagged.push_back(uid);
            }
            REQUIRE(f.account
                        ->store_flags(
                            *inbox, flagged,
                            {StoreMode::add, round % 2 ? kSeen : kDraft, {cat("k", round % 4)}, {}},
                            nullptr)
                        .ok());
            REQUIRE(f.account->discard(*inbox, gone, nullptr).ok());
            if (round % 3 == 0) {
                static_cast<SqliteAccount*>(f.account.get())
                    ->index()
                    .fold(static_cast<LoadedMailbox&>(*inbox));
            }
            expected.assign(inbox->entries().begin(), inbox->entries().end());
        }
        if (round % 2 == 0) f.open();
        const auto inbox = f.select();
        REQUIRE(inbox->entries().size() == expected.size());
        uint32_t unseen = 0;
        for (size_t i = 0; i < expected.size(); ++i) {
            const Entry &a = inbox->entries()[i], &b = expected[i];
            const bool same = a.uid == b.uid && a.flags == b.flags && a.keywords == b.keywords &&
                              a.modseq == b.modseq && a.content == b.content && a.size == b.size;
            REQUIRE(same);
            unseen += (a.flags & kSeen) == 0;
        }
        CHECK(inbox->status().unseen == unseen);
        const auto aux = f.account->read_aux(*inbox, std::nullopt);
        REQUIRE(aux.ok());
        REQUIRE(aux->size() == expected.size());
        for (size_t i = 0; i < expected.size(); ++i)
            CHECK(aux->at(i).uid == expected[i].uid);
    }
    // Blocks that thinned out were merged.
    auto& index = static_cast<SqliteAccount*>(f.account.get())->index();
    const auto inbox = f.select();
    index.fold(static_cast<LoadedMailbox&>(*inbox));
    CHECK(index.db().integer("SELECT count(*) FROM block") <= 3);
}

TEST_CASE("the log of changes and the write-ahead log stay short") {
    Fixture f;
    f.append();
    const auto inbox = f.select();
    for (int i = 0; i < 12'000; ++i) {
        REQUIRE(f.account
                    ->store_flags(*inbox, Uids{1},
                                  {i % 2 ? StoreMode::add : StoreMode::remove, kSeen, {}, {}},
                                  nullptr)
                    .ok());
    }
    auto& index = static_cast<SqliteAccount*>(f.account.get())->index();
    CHECK(index.find("INBOX")->deltas < 1100);
    CHECK(std::filesystem::file_size(f.dir + "/index.db-wal") < 9u << 20);
}

TEST_CASE("old tombstones are forgotten, and it shows") {
    Fixture f;
    f.append();
    const auto inbox = f.select();
    const uint64_t start = inbox->status().highestmodseq;
    for (int i = 0; i < 4200; ++i) {
        REQUIRE(f.account->move(*inbox, Uids{inbox->entries()[0].uid}, "INBOX", nullptr).ok());
    }
    const uint64_t recent = inbox->status().highestmodseq - 5;
    CHECK((**f.account->vanished_since(*inbox, start)).size() == 4200);
    f.tidy_all();
    CHECK_FALSE((*f.account->vanished_since(*inbox, start)).has_value());
    CHECK((**f.account->vanished_since(*inbox, recent)).size() == 5);
}

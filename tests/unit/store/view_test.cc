#include "tests/unit/store/fixture.h"

#include <random>

using namespace tambo;
using namespace tambo::store;

namespace {

void set_flag(Fixture& f, Mailbox& mailbox, Uids uids, Flags flags, Origin origin = nullptr) {
    REQUIRE(f.account->store_flags(mailbox, uids, {StoreMode::add, flags, {}, {}}, origin).ok());
}

Uids shown(const View& view) {
    Uids out;
    for (uint32_t seq = 1; seq <= view.count(); ++seq)
        out.push_back(view.at(seq).uid);
    return out;
}

} // namespace

TEST_CASE("sequence numbers stay until sync, then the client hears it in order") {
    Fixture f;
    for (int i = 0; i < 6; ++i)
        f.append();
    const auto inbox = f.select();
    View view(*f.account, inbox, false);
    int woken = 0;
    view.on_change = [&] { ++woken; };
    CHECK(view.count() == 6);
    CHECK(view.last_uid() == 6);
    REQUIRE(f.account->discard(*inbox, Uids{2, 5}, nullptr).ok());
    f.append();
    set_flag(f, *inbox, {3, 6, 7}, kSeen);
    CHECK(woken == 3);
    CHECK(shown(view) == Uids{1, 2, 3, 4, 5, 6});
    CHECK(view.is_expunged(2));
    CHECK_FALSE(view.is_expunged(3));
    CHECK(view.seq_of(5) == 5);
    CHECK(view.seq_of(7) == 0);
    CHECK(view.lower_bound(7) == 7);
    CHECK(view.lower_bound(UINT32_MAX) == 7);
    f.tidy_all();
    CHECK(f.bodies() == 7); // ghosts are pinned
    CHECK(f.text(view.at(2)).size() == 11);

    auto changes = view.sync(false);
    CHECK(changes.expunged.empty());
    CHECK(changes.exists);
    CHECK(changes.recent);
    CHECK(changes.flags == Uids{3, 6}); // 7 is new: its flags are not news
    CHECK(shown(view) == Uids{1, 2, 3, 4, 5, 6, 7});
    CHECK(view.has_changes());

    changes = view.sync(true);
    CHECK(changes.expunged == Uids{5, 2});
    CHECK(changes.vanished == Uids{2, 5});
    CHECK_FALSE(changes.exists);
    CHECK(shown(view) == Uids{1, 3, 4, 6, 7});
    CHECK_FALSE(view.has_changes());
    CHECK(view.sync(true).empty());
    f.tidy_all();
    CHECK(f.bodies() == 5);
}

TEST_CASE("own flag changes are not reported back, own expunges are") {
    Fixture f;
    for (int i = 0; i < 3; ++i)
        f.append();
    const auto inbox = f.select();
    View mine(*f.account, inbox, false), other(*f.account, inbox, true);
    mine.sync(true);
    other.sync(true);
    set_flag(f, *inbox, {1, 2}, kDeleted, &mine);
    CHECK_FALSE(mine.has_changes());
    CHECK(other.sync(false).flags == Uids{1, 2});
    REQUIRE(f.account->expunge(*inbox, std::nullopt, &mine).ok());
    CHECK(mine.sync(true).expunged == Uids{2, 1});
    CHECK(other.sync(true).expunged == Uids{2, 1});
    CHECK(f.account->store_flags(*inbox, Uids{3}, {StoreMode::add, 0, {"new"}, {}}, &mine).ok());
    CHECK(mine.sync(true).keywords);
    CHECK(other.sync(true).keywords);
}

TEST_CASE("recent belongs to the first read-write session") {
    Fixture f;
    f.append();
    f.append();
    CHECK(f.status().recent == 2);
    const auto inbox = f.select();
    View looker(*f.account, inbox, true);
    CHECK(looker.recent_count() == 2);
    {
        View first(*f.account, inbox, false);
        CHECK(first.recent_count() == 2);
        CHECK(first.is_recent(1));
        View second(*f.account, inbox, false);
        CHECK(second.recent_count() == 0);
        CHECK(looker.recent_count() == 0);
        f.append();
        CHECK(f.status().recent == 1);
        CHECK(second.sync(true).recent); // the first to look gets it
        CHECK(second.is_recent(3));
        CHECK_FALSE(first.sync(true).recent);
        CHECK(first.recent_count() == 2);
        f.append();
        CHECK(first.sync(true).recent);
        CHECK(first.recent_count() == 3);
        REQUIRE(f.account->discard(*inbox, Uids{1}, nullptr).ok());
        CHECK(first.sync(true).recent);
        CHECK(first.recent_count() == 2);
    }
    CHECK(f.status().recent == 0);
}

TEST_CASE("recent is claimed across openings") {
    Fixture f;
    f.append();
    { View view(*f.account, f.select(), false); }
    f.open();
    CHECK(f.status().recent == 0);
    f.append();
    f.open();
    CHECK(f.status().recent == 1);
    View view(*f.account, f.select(), false);
    CHECK(view.recent_count() == 1);
    CHECK_FALSE(view.is_recent(1));
}

TEST_CASE("a view agrees with a plain list under random changes") {
    Fixture f;
    std::mt19937 random(7);
    const auto inbox = f.select();
    View view(*f.account, inbox, false);
    Uids model; // what the client believes
    for (int round = 0; round < 300; ++round) {
        const auto dice = random() % 10;
        if (dice < 4 || inbox->entries().empty()) {
            f.append();
        } else if (dice < 7) {
            Uids gone;
            for (const uint32_t uid : uids_in(*inbox)) {
                if (random() % 4 == 0) gone.push_back(uid);
            }
            REQUIRE(f.account->discard(*inbox, gone, nullptr).ok());
        } else {
            const bool may_expunge = dice == 9;
            const auto changes = view.sync(may_expunge);
            for (const uint32_t seq : changes.expunged) {
                REQUIRE(seq >= 1);
                REQUIRE(seq <= model.size());
                model.erase(model.begin() + seq - 1);
            }
            while (model.size() < view.count()) {
                model.push_back(view.at(static_cast<uint32_t>(model.size()) + 1).uid);
            }
        }
        REQUIRE(shown(view) == model);
        for (uint32_t seq = 1; seq <= model.size(); ++seq) {
            REQUIRE(view.seq_of(model[seq - 1]) == seq);
        }
    }
}

#include "common/store/codec.h"

#include <catch2/catch.hpp>

#include <array>

using namespace tambo;
using namespace tambo::store;

namespace {

std::vector<Entry> sample(size_t count, bool one_modseq, bool keywords) {
    std::vector<Entry> out;
    for (uint32_t i = 0; i < count; ++i) {
        Entry entry;
        entry.uid = 10 + i * 3;
        entry.content = 1000 + i;
        entry.modseq = one_modseq ? 77 : 1000 + i;
        entry.keywords = keywords && i % 2 == 0 ? uint64_t{1} << 63 | i : 0;
        entry.internaldate_s = -5 + int64_t{i};
        entry.size = 4096 + i;
        entry.flags = static_cast<Flags>(i % 32);
        out.push_back(entry);
    }
    return out;
}

bool same(const Entry& a, const Entry& b) {
    return a.uid == b.uid && a.content == b.content && a.modseq == b.modseq &&
           a.keywords == b.keywords && a.internaldate_s == b.internaldate_s && a.size == b.size &&
           a.flags == b.flags;
}

} // namespace

TEST_CASE("blocks come back, whatever their state needs") {
    for (const bool one : {false, true}) {
        for (const bool keywords : {false, true}) {
            const auto entries = sample(100, one, keywords);
            const auto state = encode_state(entries);
            std::vector<Entry> back;
            REQUIRE(decode_block(encode_block(entries), state, back));
            REQUIRE(back.size() == entries.size());
            for (size_t i = 0; i < back.size(); ++i)
                CHECK(same(back[i], entries[i]));
            CHECK(state.size() == 1 + 100 + (one ? 8u : 800u) + (keywords ? 800u : 0u));
        }
    }
}

TEST_CASE("blocks that do not fit are refused") {
    const auto entries = sample(3, false, true);
    const auto block = encode_block(entries), state = encode_state(entries);
    std::vector<Entry> out;
    for (size_t cut = 0; cut < block.size(); ++cut) {
        out.clear();
        CHECK_FALSE(decode_block(block.substr(0, cut), state, out));
    }
    for (size_t cut = 0; cut < state.size(); ++cut) {
        out.clear();
        CHECK_FALSE(decode_block(block, state.substr(0, cut), out));
    }
    out.clear();
    REQUIRE(decode_block(block, state, out));
    CHECK_FALSE(decode_block(block, state, out)); // uids must ascend over blocks
}

TEST_CASE("deltas come back, cut ones are refused") {
    const auto entries = sample(3, true, true);
    std::vector<Aux> aux;
    for (const Entry& entry : entries) {
        aux.push_back(Aux{entry.uid, UtcTime{123456}, 77, Id{entry.uid, 9}});
    }
    const FlagEdit edit{StoreMode::remove, kSeen | kDeleted, 5};
    const std::vector<UidRange> ranges{{3, 3}, {5, 900}};
    const auto appended = encode_append(77, UtcTime{123456}, entries, aux);
    const auto flags = encode_flags(78, edit, ranges);
    const auto expunged = encode_expunge(79, ranges);

    Delta delta;
    REQUIRE(decode_delta(appended, delta));
    REQUIRE(delta.kind == DeltaKind::append);
    for (size_t i = 0; i < 3; ++i) {
        CHECK(same(delta.entries[i], entries[i]));
        CHECK(delta.aux[i].email_id == aux[i].email_id);
        CHECK(delta.aux[i].savedate == aux[i].savedate);
        CHECK(delta.aux[i].created_modseq == 77);
    }
    REQUIRE(decode_delta(flags, delta));
    CHECK(delta.kind == DeltaKind::flags);
    CHECK(delta.modseq == 78);
    CHECK(delta.edit.mode == StoreMode::remove);
    CHECK(delta.edit.flags == (kSeen | kDeleted));
    CHECK(delta.edit.keywords == 5);
    CHECK(delta.uids == ranges);
    REQUIRE(decode_delta(expunged, delta));
    CHECK(delta.kind == DeltaKind::expunge);
    CHECK(delta.uids == ranges);

    for (size_t cut = 0; cut < appended.size(); ++cut) {
        const bool whole_record = cut >= 17 && (cut - 17) % 45 == 0;
        CHECK(decode_delta(appended.substr(0, cut), delta) == whole_record);
    }
    for (size_t cut = 0; cut < flags.size(); ++cut) {
        const bool whole_range = cut >= 19 && (cut - 19) % 8 == 0;
        CHECK(decode_delta(flags.substr(0, cut), delta) == whole_range);
    }
    const std::vector<UidRange> wrong{{5, 4}}, overlap{{5, 8}, {8, 9}};
    CHECK_FALSE(decode_delta(encode_expunge(1, wrong), delta));
    CHECK_FALSE(decode_delta(encode_expunge(1, overlap), delta));
    CHECK_FALSE(decode_delta("?12345678", delta));
}

TEST_CASE("ranges follow neighbours in the mailbox, not in the numbers") {
    const auto entries = sample(6, true, false); // uids 10 13 16 19 22 25
    const std::array<uint32_t, 4> indexes{0, 1, 3, 5};
    CHECK(ranges_of(entries, indexes) == std::vector<UidRange>{{10, 13}, {19, 19}, {25, 25}});
}

TEST_CASE("tombstones and aux come back") {
    const std::vector<Tombstone> stones{{7, Id{1, 2}}, {9, Id{3, 4}}};
    std::vector<Tombstone> back;
    REQUIRE(decode_tombstones(encode_tombstones(stones), back));
    REQUIRE(back.size() == 2);
    CHECK(back[1].uid == 9);
    CHECK(back[1].email_id == Id{3, 4});
    CHECK_FALSE(decode_tombstones("x", back));
    std::vector<Aux> aux;
    CHECK_FALSE(decode_aux("x", aux));
}

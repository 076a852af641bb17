#include "imapd/session/sequence_set.h"

#include <catch2/catch.hpp>

#include <string>

using namespace tambo;
using namespace tambo::imap;

namespace {

std::optional<SequenceSet> whole(std::string_view text) {
    Cursor in(text);
    auto set = SequenceSet::parse(in);
    if (set && !in.empty()) return std::nullopt;
    return set;
}

std::string resolved(std::string_view text, uint32_t largest) {
    std::string out;
    for (const auto& range : whole(text).value().resolve(largest)) {
        out += std::to_string(range.first) + ":" + std::to_string(range.last) + " ";
    }
    return out;
}

} // namespace

TEST_CASE("sequence sets resolve to ascending disjoint ranges") {
    CHECK(resolved("1", 9) == "1:1 ");
    CHECK(resolved("5:3,1,2", 9) == "1:5 ");
    CHECK(resolved("2,4,9", 9) == "2:2 4:4 9:9 ");
    CHECK(resolved("4:*", 9) == "4:9 ");
    CHECK(resolved("*:4", 9) == "4:9 ");
    CHECK(resolved("559:*", 400) == "400:559 ");
    CHECK(resolved("*", 7) == "7:7 ");
    CHECK(resolved("1:*", 0).empty());
    CHECK(resolved("*,3", 0) == "3:3 ");
    CHECK(resolved("4294967295,4294967294:4294967295", 1) == "4294967294:4294967295 ");
}

TEST_CASE("what is no sequence set is refused") {
    for (const auto* bad : {"", "0", "1:0", "1,", ",1", "1:", ":1", "1::2", "4294967296", "-1",
                            "1 2", "a", "**", "1:*:2"}) {
        INFO(bad);
        CHECK_FALSE(whole(bad).has_value());
    }
}

TEST_CASE("sequence numbers are checked against the number of messages") {
    CHECK(whole("1:3,*")->within(3));
    CHECK_FALSE(whole("1:4")->within(3));
    CHECK_FALSE(whole("4:*")->within(3));
    CHECK(whole("*")->within(0));
}

TEST_CASE("membership is found in ranges") {
    const auto ranges = whole("2:4,8")->resolve(9);
    std::string in;
    for (uint32_t n = 0; n < 12; ++n)
        in.push_back(contains(ranges, n) ? 'x' : '.');
    CHECK(in == "..xxx...x...");
    CHECK_FALSE(contains({}, 1));
}

TEST_CASE("UID sets keep their order") {
    CHECK(format_uid_set({3, 4, 5, 9}) == "3:5,9");
    CHECK(format_uid_set({9, 3, 4}) == "9,3:4");
    CHECK(format_uid_set({}) == "");
    CHECK(format_uid_set({7}) == "7");
}

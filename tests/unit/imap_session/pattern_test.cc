#include "imapd/session/pattern.h"

#include <catch2/catch.hpp>

#include <string>

using namespace tambo::imap;

TEST_CASE("patterns match as RFC 3501 6.3.8 says") {
    CHECK(matches_pattern("a/b/c", "*"));
    CHECK_FALSE(matches_pattern("a/b/c", "%"));
    CHECK(matches_pattern("a", "%"));
    CHECK(matches_pattern("a/b", "a/%"));
    CHECK_FALSE(matches_pattern("a/b/c", "a/%"));
    CHECK(matches_pattern("a/b/c", "%/%/%"));
    CHECK(matches_pattern("a/b/c", "a*c"));
    CHECK(matches_pattern("abc", "a%*%c"));
    CHECK_FALSE(matches_pattern("abc", "ab"));
    CHECK_FALSE(matches_pattern("abc", ""));
    CHECK(matches_pattern("", ""));
    CHECK(matches_pattern("", "*%"));
    CHECK_FALSE(matches_pattern("Abc", "abc"));
}

TEST_CASE("INBOX matches in any case, other names do not") {
    CHECK(matches_pattern("INBOX", "inbox"));
    CHECK(matches_pattern("INBOX", "In%"));
    CHECK(matches_pattern("INBOX/sub", "inbox/%"));
    CHECK_FALSE(matches_pattern("INBOX/sub", "inbox/SUB"));
    CHECK_FALSE(matches_pattern("INBOXES", "inboxes"));
    CHECK(canonical_name("inBox") == "INBOX");
    CHECK(canonical_name("inbox/A") == "INBOX/A");
    CHECK(canonical_name("inboxes") == "inboxes");
}

TEST_CASE("a pattern of wildcards costs no more than its length times the name's") {
    std::string pattern, name(1000, 'a');
    for (int i = 0; i < 500; ++i)
        pattern += "*a";
    CHECK_FALSE(matches_pattern(name + "/b", pattern + "%%%c"));
    CHECK(matches_pattern(name, pattern));
}

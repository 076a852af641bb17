#include "common/store/names.h"

#include "common/store/body_name.h"
#include "common/store/flags.h"
#include "common/store/mailbox.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::store;

TEST_CASE("mailbox names") {
    CHECK(normalise_name("inBOX") == "INBOX");
    CHECK(normalise_name("inbox/a") == "INBOX/a");
    CHECK(normalise_name("Inboxes") == "Inboxes");
    CHECK(normalise_name("a/INBOX") == "a/INBOX");
    CHECK(normalise_name("\xC3\x9C/x") == "\xC3\x9C/x");
    for (const std::string bad :
         {"", "/", "a/", "/a", "a//b", ".", "..", "../../x", "a/../b", "a/./b", "a%", "a*b", "a\nb",
          "\x7f", "\xff", "INBOX/inbox", "INBOX/Inbox/x"}) {
        INFO(bad);
        CHECK_FALSE(normalise_name(bad));
    }
    CHECK_FALSE(normalise_name(std::string("a\0b", 3)));
    CHECK(normalise_name(std::string(255, 'x')));
    CHECK_FALSE(normalise_name(std::string(256, 'x')));
    std::string deep = "a";
    for (int i = 0; i < 31; ++i)
        deep += "/a";
    CHECK(normalise_name(deep));
    CHECK_FALSE(normalise_name(deep + "/a"));
    CHECK(parent_of("a/b/c") == "a/b");
    CHECK(parent_of("a") == "");
    CHECK(ancestors_of("a/b/c") == std::vector<std::string>{"a", "a/b"});
    CHECK(is_below("a/b", "a"));
    CHECK_FALSE(is_below("a", "a"));
    CHECK_FALSE(is_below("ab/c", "a"));
}

TEST_CASE("body names are parsed as they are written") {
    const DeliveryKey key{Id{1, 0xabcdef}, 3, 7};
    const auto delivered = BodyName::of(key);
    CHECK(BodyName::parse(delivered.text()) == delivered);
    const auto appended = BodyName::appended(Id{5, 6});
    CHECK(BodyName::parse(appended.text()) == appended);
    CHECK(delivered.text() == Id{1, 0xabcdef}.text() + ".3.7");
    CHECK(delivered.path() == "bodies/2f/" + delivered.text());
    const auto id = Id{1, 2}.text();
    for (const std::string bad : {"", "x", ".", ".1", ".1.", ".01.1", ".1.1.1", ".-1.1", "x1.1"}) {
        INFO(bad);
        CHECK_FALSE(BodyName::parse(id + (bad.empty() ? "0" : bad)));
    }
    CHECK_FALSE(BodyName::parse(id.substr(1)));
    CHECK_FALSE(BodyName::of(DeliveryKey{Id{1, 1}, 0, 0}).email_id() ==
                BodyName::of(DeliveryKey{Id{1, 1}, 1, 0}).email_id());
    CHECK_FALSE(BodyName::of(DeliveryKey{Id{1, 1}, 0, 0}).email_id() == Id{1, 1});
}

TEST_CASE("flags, keywords and special uses have names") {
    CHECK(parse_flag("\\sEEN") == kSeen);
    CHECK_FALSE(parse_flag("\\Recent"));
    CHECK(flag_name(kDraft) == "\\Draft");
    CHECK(parse_special_use("\\junk") == kUseJunk);
    CHECK(special_use_name(kUseTrash) == "\\Trash");
    CHECK(Keywords::is_valid_name("$Forwarded"));
    for (const char* bad : {"", "\\Seen", "a b", "(x)", "a]", "a\"", "\xC3\xA4", "a*", "a%"}) {
        CHECK_FALSE(Keywords::is_valid_name(bad));
    }
    CHECK_FALSE(Keywords::is_valid_name(std::string(129, 'x')));
    Keywords keywords;
    keywords.set(0, "$Junk");
    keywords.set(63, "NonJunk");
    CHECK(keywords.bit("$junk") == 0u);
    CHECK(keywords.bit("nonjunk") == 63u);
    CHECK(keywords.free_bit() == 1u);
    CHECK(keywords.names(~uint64_t{0}) == std::vector<std::string>{"$Junk", "NonJunk"});
    keywords.clear(1);
    CHECK_FALSE(keywords.bit("$Junk"));
}

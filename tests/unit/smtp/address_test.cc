#include "common/smtp/address.h"

#include "common/base/text.h"
#include "common/smtp/domain.h"
#include "common/smtp/fold.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::smtp;
using namespace std::literals;

namespace {

std::string key_of(std::string_view text) {
    const auto address = parse_address(text);
    if (!address) return address.error() == AddressError::too_long ? "too long" : "syntax";
    return address->key();
}

// The path's text, "syntax" or "too long"; what is left behind it in rest.
std::string path_of(std::string_view text, std::string_view rest = "") {
    Cursor in(text);
    const auto path = take_path(in);
    if (!path) return path.error() == AddressError::too_long ? "too long" : "syntax";
    CHECK(in.rest() == rest);
    return path->text();
}

} // namespace

TEST_CASE("mailboxes keep their spelling and have one key") {
    const auto address = parse_address("Bob.Smith+Lists@Example.ORG");
    REQUIRE(address);
    CHECK(address->text() == "Bob.Smith+Lists@Example.ORG");
    CHECK(address->key() == "bob.smith+lists@example.org");
    CHECK_FALSE(address->is_international());
    CHECK(key_of("!#$%&'*+-/=?^_`{|}~@x") == "!#$%&'*+-/=?^_`{|}~@x");
}

TEST_CASE("quoted local parts lose what they do not need") {
    CHECK(key_of("\"bob\"@example.org") == "bob@example.org");
    CHECK(key_of("\"b\\o\\b\"@example.org") == "bob@example.org");
    CHECK(key_of("\"Bob Smith\"@example.org") == "\"bob smith\"@example.org");
    CHECK(key_of("\"a\\\"b\\\\c\"@example.org") == "\"a\\\"b\\\\c\"@example.org");
    CHECK(key_of("\"a..b\"@x") == "\"a..b\"@x");
    CHECK(key_of("\"a@b\"@x") == "\"a@b\"@x");
    CHECK(key_of("\"\"@x") == "\"\"@x");
    CHECK(parse_address("\"Joe\\,Smith\"@x")->local == "Joe,Smith");
}

TEST_CASE("what is no mailbox is refused") {
    for (const auto bad : {""sv,
                           "a"sv,
                           "@x"sv,
                           "a@"sv,
                           ".a@x"sv,
                           "a.@x"sv,
                           "a..b@x"sv,
                           "a b@x"sv,
                           "a@x y"sv,
                           "a@@x"sv,
                           "a@b@c"sv,
                           "\"a@x"sv,
                           "\"a\"b@x"sv,
                           "a\"b\"@x"sv,
                           "a@-x"sv,
                           "a@x-"sv,
                           "a@x..y"sv,
                           "a@.x"sv,
                           "a@x."sv,
                           "a@x_y"sv,
                           "a@x>y"sv,
                           "(c)a@x"sv,
                           "a@x(c)"sv,
                           "a\0b@x"sv,
                           "a@x\0"sv,
                           "a@x\r\n"sv,
                           "\"a\nb\"@x"sv,
                           "\"a\\\nb\"@x"sv,
                           "\"\x7f\"@x"sv,
                           "\"x@remote\""sv,
                           "a@[127.0.0.1"sv,
                           "a@[127.0.0]"sv,
                           "a@[IPv6:1.2.3.4]"sv,
                           "a@[::1]"sv,
                           "a@[IPv7:x]"sv,
                           "a@[1.2.3.4]x"sv,
                           "\xC3@x"sv,
                           "\"\xC3\"@x"sv,
                           "a\xC2\x9B@x"sv,
                           "a@\xC3\x28.example"sv,
                           "root@"sv,
                           "root"sv}) {
        INFO(escape(bad));
        CHECK(key_of(bad) == "syntax");
    }
}

TEST_CASE("sizes are limited") {
    CHECK(key_of(std::string(256, 'a') + "@x").size() == 258);
    CHECK(key_of(std::string(257, 'a') + "@x") == "too long");
    CHECK(key_of("a@" + std::string(63, 'b')) == "a@" + std::string(63, 'b'));
    CHECK(key_of("a@" + std::string(64, 'b')) == "syntax");
    std::string longest = std::string(61, 'c');
    for (int i = 0; i < 3; ++i)
        longest = std::string(63, 'c') + "." + longest;
    CHECK(longest.size() == 253);
    CHECK(key_of("a@" + longest) == "a@" + longest);
    CHECK(key_of("a@c" + longest) == "syntax");
    CHECK(key_of("a@" + std::string(300, 'b')) == "too long");
    CHECK(key_of(std::string(5000, 'a')) == "too long");
}

TEST_CASE("address literals are canonical") {
    CHECK(key_of("a@[192.0.2.1]") == "a@[192.0.2.1]");
    CHECK(key_of("a@[ipv6:2001:DB8:0:0::1]") == "a@[IPv6:2001:db8::1]");
    CHECK(key_of("a@[IPv6:::ffff:192.0.2.1]") == "a@[IPv6:::ffff:192.0.2.1]");
    CHECK(key_of("a@[192.0.2.01]") == "syntax");
    CHECK(parse_address("a@[192.0.2.1]")->is_literal());
    CHECK(literal_address("[IPv6:2001:db8::1]") == "2001:db8::1");
    CHECK(literal_address("[192.0.2.1]") == "192.0.2.1");
    CHECK(canonical_ip("2001:DB8::0") == "2001:db8::");
    CHECK_FALSE(canonical_ip("1.2.3"));
}

TEST_CASE("internationalised addresses have one key for all their spellings") {
    const std::string key = "j\xC3\xBCrgen@xn--bcher-kva.example";
    CHECK(key_of("J\xC3\x9CRGEN@B\xC3\xBC"
                 "cher.example") == key);
    CHECK(key_of("ju\xCC\x88rgen@xn--BCHER-kva.EXAMPLE") == key); // NFD spelling
    CHECK(key_of("\"ju\xCC\x88rgen\"@b\xC3\x9C"
                 "cher.Example") == key);
    const auto address = parse_address("bob@b\xC3\xBC"
                                       "cher.example");
    CHECK(address->is_international());
    CHECK(address->ascii_text() == "bob@xn--bcher-kva.example");
    // Not transitional: the German sharp s stays itself.
    CHECK(domain_key("fa\xC3\x9F.example") == "xn--fa-hia.example");
    CHECK_FALSE(domain_key("a\xE2\x80\x8D"
                           "b.example")); // ZWJ out of context
    CHECK_FALSE(domain_key("b\xC3\xBC"
                           "cher_.example"));
    CHECK_FALSE(domain_key("\xC3\xBC..example"));
    CHECK(fold("\xC3\x9F") == "ss");
    CHECK(fold("\xE1\xBE\xB4") == fold(fold("\xE1\xBE\xB4")));
}

TEST_CASE("paths") {
    CHECK(path_of("<a@x>") == "a@x");
    CHECK(path_of("<>") == "");
    CHECK(path_of("<a@x> SIZE=1", " SIZE=1") == "a@x");
    CHECK(path_of("<\"a>b\"@x>") == "\"a>b\"@x");
    CHECK(path_of("<PostMaster>") == "PostMaster");
    for (const auto bad : {"", "a@x", "<a@x", "<a@x >", "< a@x>", "< >", "<<a@x>>", "<a>", "<@>",
                           "<@a>", "<@a:>", "<@a,b:c@d>", "<@a:postmaster>", "<a@x,b@y>"}) {
        INFO(bad);
        CHECK(path_of(bad) == "syntax");
    }
}

TEST_CASE("source routes are seen, not followed") {
    Cursor in("<@a,@b.example,@[192.0.2.1]:x@remote>");
    const auto path = take_path(in);
    REQUIRE(path);
    CHECK(path->source_route);
    CHECK(path->text() == "x@remote");
    Cursor plain("<x@remote>");
    CHECK_FALSE(take_path(plain)->source_route);
}

TEST_CASE("plus addressing splits at the first separator") {
    CHECK(split_plus("bob+a+b").base == "bob");
    CHECK(split_plus("bob+a+b").detail == "a+b");
    CHECK(split_plus("bob+").has_detail);
    CHECK_FALSE(split_plus("bob").has_detail);
    CHECK(split_plus("+bob").base == "+bob");
    CHECK(split_plus("bob-x", '-').detail == "x");
}

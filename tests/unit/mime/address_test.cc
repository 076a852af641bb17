#include "common/mime/address.h"

#include "common/base/text.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::mime;

namespace {

// "name|route|local|domain" for each item, groups as {name and }; '!' before what is not valid, '?'
// in front where the list is not well formed.
std::string show(std::string_view raw) {
    const AddressList list = parse_addresses(raw);
    std::string out = list.well_formed ? "" : "?";
    for (const Address& a : list.items) {
        if (a.kind == Address::Kind::group_begin) out += cat('{', a.name, ':');
        if (a.kind == Address::Kind::group_end) out += "}";
        if (a.kind != Address::Kind::mailbox) continue;
        out += cat('[', a.valid ? "" : "!", a.name, '|', a.route, '|', a.local, '|', a.domain, ']');
    }
    return out;
}

Author::Verdict verdict(std::initializer_list<std::string_view> values) {
    return check_author(std::vector<std::string_view>(values)).verdict;
}

} // namespace

TEST_CASE("plain addresses") {
    CHECK(show("a@b.example") == "[||a|b.example]");
    CHECK(show(" <a@b>") == "[||a|b]");
    CHECK(show("John Doe <jdoe@machine.example>") == "[John Doe||jdoe|machine.example]");
    CHECK(show("a@b, c@d\r\n , <e@f>") == "[||a|b][||c|d][||e|f]");
    CHECK(show("") == "");
    CHECK(show(" \r\n ") == "");
    CHECK(show("a.b+c=d@x.y") == "[||a.b+c=d|x.y]");
    CHECK(show("<>") == "[!|||]");
}

TEST_CASE("RFC 5322 appendix A examples") {
    CHECK(show("\"Joe Q. Public\" <john.q.public@example.com>") ==
          "[Joe Q. Public||john.q.public|example.com]");
    CHECK(show("Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>") ==
          "[Mary Smith||mary|x.test][||jdoe|example.org][Who?||one|y.test]");
    CHECK(show("<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>") ==
          "[||boss|nil.test][Giant; \"Big\" Box||sysservices|example.net]");
    CHECK(show("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;") ==
          "{A Group:[Ed Jones||c|a.test][||joe|where.test][John||jdoe|one.test]}");
    CHECK(show("Undisclosed recipients:;") == "{Undisclosed recipients:}");
    CHECK(show("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>") ==
          "[Pete||pete|silly.test]");
    CHECK(show("A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n"
               "  joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the "
               "group)") ==
          "{A Group:[Chris Jones||c|public.example][||joe|example.org][John||jdoe|one.test]}");
    CHECK(show("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;") ==
          "{Hidden recipients:}");
    CHECK(show("Joe Q. Public <john.q.public@example.com>") ==
          "[Joe Q. Public||john.q.public|example.com]");
    CHECK(show("Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example") ==
          "[Mary Smith|@node.test|mary|example.net][||jdoe|test.example]");
    CHECK(show("John Doe <jdoe@machine(comment).  example>") == "[John Doe||jdoe|machine.example]");
}

TEST_CASE("comments give a name where there is none") {
    CHECK(show("root@x.example (Cron Daemon)") == "[Cron Daemon||root|x.example]");
    CHECK(show("<a@b> (Name (nested) \\( x)") == "[Name (nested) ( x||a|b]");
    CHECK(show("Real <a@b> (comment)") == "[Real||a|b]");
    CHECK(show("root (Cron)") == "[!Cron||root|]");
}

TEST_CASE("quoted local parts, literals, routes") {
    CHECK(show("\"a b\"@c") == "[||a b|c]");
    CHECK(show("\"\"@c") == "[|||c]");
    CHECK(show("a.\"b\\\"c\".d@e") == "[||a.b\"c.d|e]");
    CHECK(show("x@[192.0.2.1]") == "[||x|[192.0.2.1]]");
    CHECK(show("<x@[IPv6:2001:db8::1]>") == "[||x|[IPv6:2001:db8::1]]");
    CHECK(show("<@a.example,@b.example:x@c>") == "[|@a.example,@b.example|x|c]");
    CHECK(show("a . b @ c . d") == "[||a.b|c.d]");
    Address address;
    address.local = "a \"b";
    address.domain = "c";
    CHECK(address.spec() == "\"a \\\"b\"@c");
    address.local = "a.b";
    CHECK(address.spec() == "a.b@c");
}

TEST_CASE("UTF-8 addresses are valid, broken UTF-8 is marked") {
    CHECK(show("J\xc3\xb6rg <j\xc3\xb6rg@b\xc3\xbc"
               "cher.example>") == "[J\xc3\xb6rg||j\xc3\xb6rg|b\xc3\xbc"
                                   "cher.example]");
    CHECK(show("J\xf6rg <a@b>").front() == '?');
    CHECK(show("a@b\xF0\x9F").front() == '?');
}

TEST_CASE("encoded words stay one word") {
    CHECK(show("=?utf-8?Q?J=C3=B6rg_Doe?= <a@b>") == "[=?utf-8?Q?J=C3=B6rg_Doe?=||a|b]");
    CHECK(show("=?utf-8?B?SsO2cmc=?= =?utf-8?Q?Doe?= <a@b>") ==
          "[=?utf-8?B?SsO2cmc=?= =?utf-8?Q?Doe?=||a|b]");
    CHECK(show("=?utf-8?Q?Doe,_J?= <a@b>") == "?[=?utf-8?Q?Doe,_J?=||a|b]");
    CHECK(show("=?utf-8?Q?x@y?= <a@b>") == "?[=?utf-8?Q?x@y?=||a|b]");
}

TEST_CASE("errors of real mail lose nothing") {
    CHECK(show("john@x.example <john@x.example>") == "?[john@x.example||john|x.example]");
    CHECK(show("John Doe john@x") == "?[!John Doe||john|x]");
    CHECK(show("John Doe") == "[!||John Doe|]");
    CHECK(show("a@b; c@d") == "?[||a|b][||c|d]");
    CHECK(show("<a@b> <c@d>") == "?[||a|b][||c|d]");
    CHECK(show("<a@b> junk, c@d") == "?[||a|b][||c|d]");
    CHECK(show("<a@b, c@d") == "?[!||a|b][||c|d]");
    CHECK(show("<<a@b>>").find("a|b") != std::string::npos);
    CHECK(show("a@b@c") == "?[!||a@b|c]");
    CHECK(show("\"unterminated <a@b>") == "?[!||unterminated <a@b>|]");
    CHECK(show("a@b (open") == "?[open||a|b]");
    CHECK(show("group: a@b") == "?{group:[||a|b]}");
    CHECK(show("g: h: a@b;").front() == '?');
    CHECK(show("a..b@c") == "[!||a..b|c]");
    CHECK(show("a.@c") == "[!||a.|c]");
    CHECK(show("a@") == "[!||a|]");
    CHECK(show("@b") == "[!|||b]");
    CHECK(show("<@b>") == "[!|||b]");
    CHECK(show("a@b.") == "[!||a|b.]");
    CHECK(show(",,,;") == "?");
    CHECK(show(std::string_view("a\0@b", 4)).front() == '?');
}

TEST_CASE("who is the author") {
    using enum Author::Verdict;
    CHECK(verdict({" A <a@bank.example>"}) == ok);
    CHECK(verdict({}) == missing);
    CHECK(verdict({"\r\n "}) == missing);
    CHECK(verdict({"a@b", "c@d"}) == repeated);
    CHECK(verdict({"a@bank, b@evil"}) == several);
    CHECK(verdict({"g:;"}) == group);
    CHECK(verdict({"<a@bank> <b@evil>"}) == malformed);
    CHECK(verdict({"a@bank <b@evil>"}) == malformed);
    CHECK(verdict({"(a@bank <b@evil>"}) == malformed);
    CHECK(verdict({"\"a@bank\" <b@evil>"}) == ok);
    CHECK(verdict({"a@bank(<b@evil>"}) == malformed);
    CHECK(verdict({"a@b@c"}) == malformed);
    CHECK(verdict({"<@bank,@x:b@evil>"}) == ok);
    CHECK(check_author(std::vector<std::string_view>{"<@bank:b@evil>"}).mailboxes[0].domain ==
          "evil");
    CHECK(verdict({"a..b@docomo.example"}) == ok);
    CHECK(verdict({"root"}) == incomplete);
    CHECK(verdict({"a@b, root"}) == incomplete);
    CHECK(verdict({"root <a@b"}) == malformed);
    CHECK(check_author(std::vector<std::string_view>{"a@b, c@d"}).mailboxes.size() == 2);
}

TEST_CASE("D1: a list is cut at the maximum, nesting costs nothing") {
    std::string many;
    for (int i = 0; i < 200'000; ++i)
        many += "a@b,";
    const AddressList list = parse_addresses(many);
    CHECK(list.items.size() == limits::mime_addresses_max);
    CHECK(list.truncated);
    CHECK(parse_addresses("a@b,c@d", 2).truncated == false);
    CHECK(parse_addresses("a@b,c@d,e@f", 2).truncated);
    CHECK(show(std::string(1'000'000, '(')) == "?");
    CHECK(show(std::string(1'000'000, '<')).size() < 2'000'000);
    CHECK(show(cat("a@b", std::string(500'000, '('), std::string(500'000, ')'))) ==
          cat("[", std::string(499'999, '('), std::string(499'999, ')'), "||a|b]"));
    std::string words; // encoded words that never end
    for (int i = 0; i < 100'000; ++i)
        words += "=?a?q?(";
    CHECK(show(words).front() == '?');
    std::string routes;
    for (int i = 0; i < 100'000; ++i)
        routes += "<@a,";
    CHECK(parse_addresses(routes).truncated);
}

TEST_CASE("a group that finds no room has no end either") {
    for (size_t max = 0; max < 8; ++max) {
        const AddressList list = parse_addresses("x:;y:a@b;z:;", max);
        int depth = 0;
        for (const Address& address : list.items) {
            depth += address.kind == Address::Kind::group_begin;
            depth -= address.kind == Address::Kind::group_end;
            CHECK((depth == 0 || depth == 1));
        }
        CHECK(depth == 0);
        CHECK(list.truncated == (max < 6)); // an end needs no room of its own
    }
}

TEST_CASE("D5: what ends anywhere reads nothing behind its end") {
    const std::string whole =
        "=?utf-8?q?x?= \"a\\\"b\" (c\\)d) <@r,@s:\"l\\@\".m@[1.2.3.4]>, g: x@y;";
    for (size_t i = 0; i <= whole.size(); ++i) {
        const std::string exact(whole.data(), i); // its own allocation: ASan sees one byte too far
        CHECK(parse_addresses(std::vector<char>(exact.begin(), exact.end()).empty()
                                  ? std::string_view{}
                                  : std::string_view(exact))
                  .items.size() <= 5);
    }
    CHECK(show("(a\\").front() == '?');
    CHECK(show("\"a\\").front() == '?');
}

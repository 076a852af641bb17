#include "common/mime/search_text.h"

#include "common/base/text.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::mime;

namespace {

std::string all_text(const MessageView& message, SearchScope scope) {
    std::string out;
    search_text(message, parse_structure(message), scope, [&](std::string_view text) {
        out += text.empty() ? "|" : text;
        return true;
    });
    return out;
}

} // namespace

TEST_CASE("folding: case, composition and compatibility do not count") {
    CHECK(folded("Hello WORLD 123 {|}") == "hello world 123 {|}");
    CHECK(folded("CAF\xc3\x89") == folded("cafe\xcc\x81"));          // É and e + acute
    CHECK(folded("\xd0\x9f\xd0\xa0") == folded("\xd0\xbf\xd1\x80")); // Cyrillic
    CHECK(folded("\xce\xa3") == folded("\xcf\x82"));                 // sigma, final sigma
    CHECK(folded("\xef\xac\x81n") == "fin");                         // ligature
    CHECK(folded("\xef\xbc\xa1\xef\xbc\xa2") == "ab");               // fullwidth
    CHECK(folded("\xe2\x84\xaa") == "k");                            // Kelvin sign
    CHECK(folded("\xe4\xbd\xa0\xe5\xa5\xbd") == "\xe4\xbd\xa0\xe5\xa5\xbd");
    CHECK(folded("\xf0\x9f\x98\x80") == "\xf0\x9f\x98\x80");
    CHECK(folded("a\xff\xf0\x9f") == "a\xff\xf0\x9f");
}

TEST_CASE("substrings are found whatever their case") {
    CHECK(contains_folded("The Quick Brown", "quick b"));
    CHECK(contains_folded("xyz", ""));
    CHECK(contains_folded("", ""));
    CHECK_FALSE(contains_folded("", "a"));
    CHECK_FALSE(contains_folded("abc", "abcd"));
    CHECK(contains_folded("Stra\xc3\x9f"
                          "e M\xc3\x9cLLER",
                          "m\xc3\xbcller"));
    CHECK(contains_folded("caf\xc3\xa9", "cafe")); // RFC 5051: e, then an accent
    CHECK_FALSE(contains_folded("cafe", "caf\xc3\xa9"));
}

TEST_CASE("a matcher finds across pieces, at every split, not across boundaries") {
    const std::string text = "aaaaab needle \xc3\x89t\xc3\xa9 aab";
    for (const std::string needle :
         {"needle", "aaab", "\xc3\xa9t\xc3\xa9 a", "b", "aaaaab needle"}) {
        for (size_t i = 0; i <= text.size(); ++i) {
            if (i < text.size() && (text[i] & 0xC0) == 0x80) continue; // inside a character
            TextMatcher matcher(needle);
            matcher.feed(std::string_view(text).substr(0, i));
            matcher.feed(std::string_view(text).substr(i));
            matcher.boundary();
            CHECK(matcher.found());
        }
    }
    TextMatcher matcher("ab");
    matcher.feed("xa");
    matcher.boundary();
    matcher.feed("bx");
    matcher.boundary();
    CHECK_FALSE(matcher.found());
}

TEST_CASE("a matcher keeps little and finds late") {
    TextMatcher matcher("needle in it");
    const std::string hay(10'000, 'n');
    for (int i = 0; i < 500; ++i)
        CHECK_FALSE(matcher.feed(hay));
    matcher.feed("needle");
    matcher.feed(" IN it");
    matcher.boundary();
    CHECK(matcher.found());
    TextMatcher big(std::string(50'000, 'x') + "y");
    for (int i = 0; i < 100; ++i)
        big.feed(std::string(1000, 'x'));
    big.feed("y");
    big.boundary();
    CHECK(big.found());
}

TEST_CASE("SEARCH sees decoded headers and text parts") {
    const std::string message =
        "Subject: =?utf-8?Q?gr=C3=BC=C3=9Fe?=\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
        "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\nK=F6=\r\nln\r\n"
        "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        "PHA+Z3L8PC9wPg==\r\n"
        "--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nc2VjcmV0\r\n"
        "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n--b--\r\n";
    const MessageView view(message);
    const std::string body = all_text(view, SearchScope::body);
    CHECK(body == "Content-Type: text/plain; charset=iso-8859-1\r\n"
                  "Content-Transfer-Encoding: quoted-printable\r\n|K\xc3\xb6ln|"
                  "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n|"
                  "<p>gr\xef\xbf\xbd</p>|"
                  "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n|"
                  "Content-Type: message/rfc822\r\n|Subject: inner\r\n|inside|");
    const std::string text = all_text(view, SearchScope::text);
    CHECK(text == "Subject: gr\xc3\xbc\xc3\x9f"
                  "e\r\nContent-Type: multipart/mixed; boundary=b\r\n|" +
                      body);
    // The seam changes nothing.
    for (size_t i = 0; i <= message.size(); ++i) {
        const std::string_view all = message;
        CHECK(all_text(MessageView(all.substr(0, i), all.substr(i)), SearchScope::text) == text);
    }
}

TEST_CASE("the sink stops the work") {
    const std::string message = "Subject: a\r\nFrom: b\r\n\r\nbody";
    const MessageView view(message);
    int calls = 0;
    search_text(view, parse_structure(view), SearchScope::text, [&](std::string_view) {
        ++calls;
        return false;
    });
    CHECK(calls == 1);
}

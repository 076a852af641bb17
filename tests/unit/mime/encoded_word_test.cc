#include "common/mime/encoded_word.h"

#include "common/base/text.h"

#include <catch2/catch.hpp>

using namespace std::string_literals;
using namespace tambo;
using namespace tambo::mime;

TEST_CASE("RFC 2047 section 8 examples") {
    CHECK(decode_words("=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>") ==
          "Keith Moore <moore@cs.utk.edu>");
    CHECK(decode_words("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>") ==
          "Keld J\xc3\xb8rn Simonsen <keld@dkuug.dk>");
    CHECK(decode_words("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
                       "    =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=") ==
          "If you can read this you understand the example.");
    CHECK(decode_words("(=?ISO-8859-1?Q?a?=)") == "(a)");
    CHECK(decode_words("(=?ISO-8859-1?Q?a?= b)") == "(a b)");
    CHECK(decode_words("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)") == "(ab)");
    CHECK(decode_words("(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)") == "(ab)");
    CHECK(decode_words("(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)") == "(ab)");
    CHECK(decode_words("(=?ISO-8859-1?Q?a_b?=)") == "(a b)");
    CHECK(decode_words("(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)") == "(a b)");
}

TEST_CASE("encoded words of real mail") {
    CHECK(decode_words("=?utf-8*en?q?x?=") == "x");                         // RFC 2231 5
    CHECK(decode_words("=?utf-8?B?w?= =?utf-8?B?6k=?=") == "\xef\xbf\xbd"); // cut inside
    CHECK(decode_words("=?utf-8?Q?=C3?= =?UTF-8?Q?=A9?=") == "\xc3\xa9");   // split character
    CHECK(decode_words("=?utf-8?Q?two words?=") == "two words");            // blank inside
    CHECK(decode_words("a=?utf-8?Q?x?=b") == "axb");
    CHECK(decode_words("=?utf-8?Q?\?= tail") == " tail");
    CHECK(decode_words("=?utf-8?Q?a=0D=0ABcc:_x?=") == "a  Bcc: x"); // no injection
    CHECK(decode_words("=?utf-8?Q?a=00b?=") == "a b");
    CHECK(decode_words("=?utf-8?Q?end_?=") == "end ");
    CHECK(decode_words("gr\xfc\xdf") == "gr\xc3\xbc\xc3\x9f");
    CHECK(decode_words("=?utf-8?Q?" + std::string(5000, 'x') + "?=") == std::string(5000, 'x'));
    for (const auto* plain : {"=?utf-8?Q?open", "=?utf-8?X?x?=", "=??Q?x?=", "=?utf-8?Q?x?",
                              "=? utf-8?Q?x?=", "=?", "=", "?=", "=?utf-8?Q", "a =?= b"}) {
        CHECK(decode_words(plain) == plain);
    }
}

TEST_CASE("D5: cut input") {
    const std::string whole = "\xf0\x9f\x98\x80 =?utf-8?B?8J+YgA==?= =?x?q?=F0=9F?= \xf0\x9f";
    for (size_t i = 0; i <= whole.size(); ++i)
        CHECK(is_utf8(decode_words(whole.substr(0, i))));
}

TEST_CASE("many beginnings cost no more than their length") {
    std::string many;
    for (int i = 0; i < 200'000; ++i)
        many += "=?a?q?";
    CHECK(decode_words(many) == many);
    std::string words;
    for (int i = 0; i < 50'000; ++i)
        words += i % 2 == 0 ? "=?utf-8?q?a?= " : "=?utf-8?q?=E2?= ";
    CHECK(decode_words(words).size() > 50'000);
}

TEST_CASE("encoding gives words of at most 75 bytes that decode to the same") {
    CHECK(encode_words("plain text, (really)") == "plain text, (really)");
    CHECK(encode_words("=?looks?q?like?=") != "=?looks?q?like?=");
    CHECK(encode_words("caf\xc3\xa9 au lait") == "=?utf-8?Q?caf=C3=A9_au_lait?=");
    const std::string russian = "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, "
                                "\xd0\xbc\xd0\xb8\xd1\x80";
    CHECK(encode_words(russian).starts_with("=?utf-8?B?"));
    std::string text;
    for (size_t i = 0; i < 300; ++i) {
        text += i % 3 == 0 ? "\xf0\x9f\x98\x80" : i % 7 == 0 ? " long ascii words " : "\xc3\xa9";
        const std::string encoded = encode_words(text);
        CHECK(is_ascii(encoded));
        for (const auto word : split(encoded, ' '))
            CHECK(word.size() <= 75);
        CHECK(decode_words(encoded) == text);
        const std::string after = encode_words(text, i % 90);
        CHECK(split_once(after, ' ').first.size() + std::min<size_t>(i % 90, 47) <= 76);
        CHECK(decode_words(after) == text);
    }
    CHECK(decode_words(encode_words("a\r\nBcc: x\xc3\xa9")) == "a  Bcc: x\xc3\xa9");
    CHECK(decode_words(encode_words("bad \xff utf-8")) == "bad \xc3\xbf utf-8");
    CHECK(encode_words("") == "");
}

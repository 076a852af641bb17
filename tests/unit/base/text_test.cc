#include "common/base/text.h"

#include "common/base/base64.h"
#include "common/base/bytes.h"
#include "common/base/id.h"
#include "common/base/time.h"

#include <catch2/catch.hpp>

using namespace tambo;

TEST_CASE("cat joins text, characters and integers") {
    CHECK(cat("a", 'b', 12u, -3, std::string("x")) == "ab12-3x");
}

TEST_CASE("parse_uint takes digits only") {
    CHECK(parse_uint("0") == 0u);
    CHECK(parse_uint("18446744073709551615") == UINT64_MAX);
    CHECK_FALSE(parse_uint("18446744073709551616"));
    for (const auto* bad : {"", "-1", "+1", " 1", "1 ", "0x1", "1a"})
        CHECK_FALSE(parse_uint(bad));
    CHECK_FALSE(parse_uint("11", 10));
}

TEST_CASE("durations and sizes carry units") {
    CHECK(parse_duration_ms("5m") == 300'000);
    CHECK(parse_duration_ms("500ms") == 500);
    CHECK(parse_duration_ms("30") == 30'000);
    CHECK_FALSE(parse_duration_ms("5 m"));
    CHECK_FALSE(parse_duration_ms("m"));
    CHECK_FALSE(parse_duration_ms("99999999999999999d"));
    CHECK(format_duration(300'000) == "5m");
    CHECK(format_duration(1500) == "1500ms");
    CHECK(parse_size_bytes("50M") == 52'428'800u);
    CHECK_FALSE(parse_size_bytes("99999999999G"));
}

TEST_CASE("UTF-8 is checked as RFC 3629 says") {
    CHECK(is_utf8("gr\xC3\xBC\xC3\x9F"));
    CHECK_FALSE(is_utf8("\xC0\x80"));
    CHECK_FALSE(is_utf8("\xED\xA0\x80"));
    CHECK_FALSE(is_utf8("\xF4\x90\x80\x80"));
    CHECK_FALSE(is_utf8("\xF0\x9F"));
}

TEST_CASE("escape leaves no control, quote or line end") {
    CHECK(escape("a\x1b]0;\n\"\\") == "a\\x1b]0;\\x0a\\x22\\x5c");
    CHECK(escape("\xFF") == "\\xff");
    CHECK(escape("abcdef", 3) == "abc...");
    CHECK(escape("\xC2\x9B"
                 "31m") == "\\xc2\\x9b31m"); // CSI
    CHECK(escape("\xE2\x80\xAE"
                 "x") == "\\xe2\\x80\\xaex"); // right-to-left override
    CHECK(escape("\xE2\x81\xA6\xE2\x80\xA8").find('\xE2') == std::string::npos);
    CHECK(escape("\xC3\xBC \xE2\x82\xAC \xE2\x80\x93") == "\xC3\xBC \xE2\x82\xAC \xE2\x80\x93");
}

TEST_CASE("base64 is strict") {
    CHECK(base64_encode("") == "");
    CHECK(base64_encode("f") == "Zg==");
    CHECK(base64_encode("foobar") == "Zm9vYmFy");
    CHECK(base64_decode("Zm9vYg==") == "foob");
    for (const auto* bad : {"Z", "Zg=", "Zh==", "Zg==Zg==", "=g==", "Z===", "Zm9 "}) {
        CHECK_FALSE(base64_decode(bad));
    }
}

TEST_CASE("ids survive the way to text and back") {
    const Id id = Id::make(7, 42, 0xdeadbeef, 0x01020304);
    CHECK(id.text().size() == 26);
    CHECK(Id::parse(id.text()) == id);
    CHECK_FALSE(Id::parse("zzzzzzzzzzzzzzzzzzzzzzzzzz"));
    CHECK_FALSE(Id::parse("0000000000000000000000000u"));
}

TEST_CASE("crc32c has the known check value") {
    CHECK(crc32c(0, "123456789") == 0xE3069283u);
    CHECK(crc32c(crc32c(0, "1234"), "56789") == 0xE3069283u);
}

TEST_CASE("times have their three forms") {
    const UtcTime t = UtcTime{1'795'497'616'123};
    CHECK(format_rfc3339(t) == "2026-11-24T05:20:16.123Z");
    CHECK(format_rfc5322(t) == "Tue, 24 Nov 2026 05:20:16 +0000");
    CHECK(format_imap(t) == "24-Nov-2026 05:20:16 +0000");
    CHECK(parse_rfc3339("2026-11-24T05:20:16.123Z") == t);
    CHECK(parse_imap_date_time("24-Nov-2026 06:20:16 +0100") == UtcTime{1'795'497'616'000});
    CHECK(parse_imap_date_time(" 1-Feb-2026 00:00:00 +0000").has_value());
    CHECK_FALSE(parse_imap_date("31-Feb-2026"));
    CHECK(parse_imap_date("1-Jan-1970") == UtcTime{0});
    for (int64_t day = -200'000; day < 200'000; day += 37) {
        const UtcTime at = UtcTime::from_seconds(day * 86400 + 12345);
        CHECK(from_civil(to_civil(at)) == at);
    }
}

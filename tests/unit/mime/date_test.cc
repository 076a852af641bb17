#include "common/mime/date.h"

#include "common/base/text.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::mime;

namespace {

// "RFC 3339 time zone-minutes known sent-day", or "none".
std::string show(std::string_view raw) {
    const auto date = parse_date(raw);
    if (!date) return "none";
    return cat(format_rfc3339(date->utc).substr(0, 19), ' ', date->zone_minutes, ' ',
               date->zone_known ? "zone" : "?", ' ',
               format_rfc3339(date->sent_day()).substr(0, 10));
}

} // namespace

TEST_CASE("RFC 5322 dates") {
    CHECK(show(" Fri, 21 Nov 1997 09:55:06 -0600\r\n") ==
          "1997-11-21T15:55:06 -360 zone 1997-11-21");
    CHECK(show("1 Jul 2003 10:52:37 +0200") == "2003-07-01T08:52:37 120 zone 2003-07-01");
    CHECK(show("Thu, 13 Feb 1969 23:32 -0330") == "1969-02-14T03:02:00 -210 zone 1969-02-13");
    CHECK(show("Tue, 24 Nov 2026 00:10:00 +0530") == "2026-11-23T18:40:00 330 zone 2026-11-24");
    CHECK(show("Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n"
               "               -0330 (Newfoundland Time)") ==
          "1969-02-14T03:02:00 -210 zone 1969-02-13");
    CHECK(show("31 Dec 2016 23:59:60 +0000") == "2017-01-01T00:00:00 0 zone 2017-01-01");
    CHECK(show("Mon, 1 Jan 2024 00:00:00 -0000") == "2024-01-01T00:00:00 0 ? 2024-01-01");
}

TEST_CASE("obsolete dates") {
    CHECK(show("21 Nov 97 09:55:06 GMT") == "1997-11-21T09:55:06 0 zone 1997-11-21");
    CHECK(show("21 Nov 49 09:55:06 UT") == "2049-11-21T09:55:06 0 zone 2049-11-21");
    CHECK(show("21 Nov 50 09:55:06 UT") == "1950-11-21T09:55:06 0 zone 1950-11-21");
    CHECK(show("21 Nov 101 09:55:06 PDT") == "2001-11-21T16:55:06 -420 zone 2001-11-21");
    CHECK(show("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600") ==
          "1997-11-21T15:55:06 -360 zone 1997-11-21");
    CHECK(show("21 Nov 1997 09:55:06 A") == "1997-11-21T09:55:06 0 ? 1997-11-21");
    CHECK(show("Friday, 21 November 1997 9:55 est") == "1997-11-21T14:55:00 -300 zone 1997-11-21");
}

TEST_CASE("dates of real mail") {
    CHECK(show("24-Nov-2026 05:20:16 -0500") == "2026-11-24T10:20:16 -300 zone 2026-11-24");
    CHECK(show("Tue, 24-Nov-26 05:20:16 GMT") == "2026-11-24T05:20:16 0 zone 2026-11-24");
    CHECK(show("Tue Nov 24 05:20:16 2026") == "2026-11-24T05:20:16 0 ? 2026-11-24");
    CHECK(show("Tue Nov 24 05:20:16 -0500 2026") == "2026-11-24T10:20:16 -300 zone 2026-11-24");
    CHECK(show("Tue Nov 24 05:20:16 PST 2026") == "2026-11-24T13:20:16 -480 zone 2026-11-24");
    CHECK(show("Tue, 24 Nov 2026 05:20:16 GMT+0100") == "2026-11-24T04:20:16 60 zone 2026-11-24");
    CHECK(show("Tue, 24 Nov 2026 05:20:16") == "2026-11-24T05:20:16 0 ? 2026-11-24");
    CHECK(show("Tue, 24 Nov 2026 05.20.16 +0100 (CET)") ==
          "2026-11-24T04:20:16 60 zone 2026-11-24");
    CHECK(show("(x) Tue (y), 24 Nov 2026 05:20:16.123 +0000") ==
          "2026-11-24T05:20:16 0 zone 2026-11-24");
}

TEST_CASE("what is no date") {
    for (const auto* bad :
         {"", "   ", "yesterday", "Tue, 31 Feb 2026 00:00:00 +0000",
          "Tue, 0 Nov 2026 00:00:00 +0000", "24 Nov 2026 24:00:00 +0000", "24 Nov 2026 10:60 +0000",
          "24 Nov 2026", "24 Nov 0000 10:00", "24 Nov 12345 10:00",
          "99999999999999999999 Nov 2026 10:00", "24 Foo 2026 10:00:00 +0000", "Tue,", "((((",
          "24 Nov 2026 -1:00", "24 Nov 2026 10:00:61"}) {
        CHECK(show(bad) == "none");
    }
    CHECK(show("24 Nov 2026 10:00:00 +9999") == "2026-11-24T10:00:00 0 ? 2026-11-24");
}

TEST_CASE("a date cut anywhere is read or refused, never read past its end") {
    const std::string whole = "Tue, 24 Nov 2026 (c \\) d) 05:20:16 GMT +0100 (x)";
    for (size_t i = 0; i < whole.size(); ++i) {
        const std::string cut(whole, 0, i);
        const auto date = parse_date(cut);
        CHECK((!date || date->utc.ms > 0));
    }
    CHECK(show(std::string(1'000'000, '(')) == "none");
    CHECK(show(std::string(1'000'000, ',')) == "none");
}

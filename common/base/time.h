// The one helper for time: instants in UTC, the text forms of RFC 5322, RFC 3339 and IMAP, and the
// injected clock. Nothing in pure code asks the system for the time.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tambo {

// Milliseconds since 1970-01-01T00:00:00Z. Stored everywhere as this integer.
struct UtcTime {
    int64_t ms = 0;

    auto operator<=>(const UtcTime&) const = default;
    int64_t seconds() const { return ms / 1000; }
    static UtcTime from_seconds(int64_t s) { return UtcTime{s * 1000}; }
};

// Wall time (may jump) and monotonic time (for deadlines). sys/clock.h has the real one.
class Clock {
  public:
    virtual ~Clock() = default;
    virtual UtcTime now() = 0;
    virtual int64_t monotonic_ms() = 0;
};

struct CivilTime {
    int year = 1970, month = 1, day = 1; // month 1..12, day 1..31
    int hour = 0, minute = 0, second = 0;
    int weekday = 4; // 0 = Sunday
};

CivilTime to_civil(UtcTime t);
// Days and times out of range are a bug of the caller; parsers check before.
UtcTime from_civil(const CivilTime& c);
bool is_valid_date(int year, int month, int day);

// "Tue, 24 Nov 2026 05:20:16 +0000" (RFC 5322 3.3), always in UTC.
std::string format_rfc5322(UtcTime t);
// "2026-11-24T05:20:16.123Z" (RFC 3339).
std::string format_rfc3339(UtcTime t);
// "24-Nov-2026 05:20:16 +0000" (RFC 9051 date-time; the day padded with a blank).
std::string format_imap(UtcTime t);
// The last two in reverse; nullopt for anything malformed. Dates of RFC 5322 with their comments
// and obsolete forms are read by mime/date.h.
std::optional<UtcTime> parse_rfc3339(std::string_view s);
std::optional<UtcTime> parse_imap_date_time(std::string_view s);
// "24-Nov-2026" as used by SEARCH, midnight UTC (RFC 9051 date).
std::optional<UtcTime> parse_imap_date(std::string_view s);
// 1..12 for "Jan".."Dec" in any case, 0 if none.
int month_number(std::string_view name);
// "+0100", "-0530" in minutes east of UTC.
std::optional<int> parse_zone_minutes(std::string_view zone);

} // namespace tambo

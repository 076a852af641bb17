// See time.h. Civil conversion by the usual era arithmetic over 400-year cycles.
#include "common/base/time.h"

#include "common/base/cursor.h"
#include "common/base/text.h"

#include <array>

namespace tambo {

namespace {

constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
    year -= month <= 2;
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

std::string padded(int64_t number, size_t width) {
    std::string digits = cat(number);
    if (digits.size() < width) digits.insert(0, width - digits.size(), '0');
    return digits;
}

std::optional<int> digits(Cursor& in, size_t count) {
    const auto text = in.take_bytes(count);
    if (text.size() != count) return std::nullopt;
    const auto number = parse_uint(text);
    if (!number) return std::nullopt;
    return static_cast<int>(*number);
}

std::string clock_text(const CivilTime& c) {
    return cat(padded(c.hour, 2), ':', padded(c.minute, 2), ':', padded(c.second, 2));
}

// "HH:MM:SS" into c; false if malformed or out of range.
bool take_clock(Cursor& in, CivilTime& c) {
    const auto hour = digits(in, 2);
    if (!hour || !in.accept(':')) return false;
    const auto minute = digits(in, 2);
    if (!minute || !in.accept(':')) return false;
    const auto second = digits(in, 2);
    if (!second || *hour > 23 || *minute > 59 || *second > 60) return false;
    c.hour = *hour;
    c.minute = *minute;
    c.second = *second;
    return true;
}

} // namespace

CivilTime to_civil(UtcTime t) {
    const int64_t seconds = t.ms >= 0 ? t.ms / 1000 : (t.ms - 999) / 1000;
    const int64_t days = seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400;
    const int64_t rest = seconds - days * 86400;
    const int64_t z = days + 719468;
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t doe = z - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t mp = (5 * doy + 2) / 153;
    CivilTime c;
    c.day = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
    c.month = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
    c.year = static_cast<int>(yoe + era * 400 + (c.month <= 2));
    c.hour = static_cast<int>(rest / 3600);
    c.minute = static_cast<int>(rest / 60 % 60);
    c.second = static_cast<int>(rest % 60);
    c.weekday = static_cast<int>(((days % 7) + 11) % 7);
    return c;
}

UtcTime from_civil(const CivilTime& c) {
    const int64_t days = days_from_civil(c.year, c.month, c.day);
    return UtcTime::from_seconds(days * 86400 + c.hour * 3600 + c.minute * 60 + c.second);
}

bool is_valid_date(int year, int month, int day) {
    constexpr std::array<int, 12> kLengths{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) return false;
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return day <= kLengths[static_cast<size_t>(month - 1)] + (month == 2 && leap ? 1 : 0);
}

std::string format_rfc5322(UtcTime t) {
    const CivilTime c = to_civil(t);
    return cat(kDays[static_cast<size_t>(c.weekday)], ", ", c.day, ' ',
               kMonths[static_cast<size_t>(c.month - 1)], ' ', padded(c.year, 4), ' ',
               clock_text(c), " +0000");
}

std::string format_rfc3339(UtcTime t) {
    const CivilTime c = to_civil(t);
    const int64_t ms = ((t.ms % 1000) + 1000) % 1000;
    return cat(padded(c.year, 4), '-', padded(c.month, 2), '-', padded(c.day, 2), 'T',
               clock_text(c), '.', padded(ms, 3), 'Z');
}

std::string format_imap(UtcTime t) {
    const CivilTime c = to_civil(t);
    return cat(c.day < 10 ? " " : "", c.day, '-', kMonths[static_cast<size_t>(c.month - 1)], '-',
               padded(c.year, 4), ' ', clock_text(c), " +0000");
}

std::optional<UtcTime> parse_rfc3339(std::string_view s) {
    Cursor in(s);
    CivilTime c;
    const auto year = digits(in, 4);
    if (!year || !in.accept('-')) return std::nullopt;
    const auto month = digits(in, 2);
    if (!month || !in.accept('-')) return std::nullopt;
    const auto day = digits(in, 2);
    if (!day || !is_valid_date(*year, *month, *day) || !in.accept('T')) return std::nullopt;
    c.year = *year;
    c.month = *month;
    c.day = *day;
    if (!take_clock(in, c)) return std::nullopt;
    int64_t ms = 0;
    if (in.accept('.')) {
        const auto fraction = in.take_while(is_digit);
        if (fraction.empty()) return std::nullopt;
        const std::string three = std::string(fraction.substr(0, 3)) + "00";
        ms = static_cast<int64_t>(parse_uint(three.substr(0, 3)).value_or(0));
    }
    if (!in.accept('Z') || !in.empty()) return std::nullopt;
    return UtcTime{from_civil(c).ms + ms};
}

int month_number(std::string_view name) {
    for (size_t i = 0; i < kMonths.size(); ++i) {
        if (iequals(kMonths[i], name)) return static_cast<int>(i) + 1;
    }
    return 0;
}

std::optional<int> parse_zone_minutes(std::string_view zone) {
    if (zone.size() != 5 || (zone[0] != '+' && zone[0] != '-')) return std::nullopt;
    const auto number = parse_uint(zone.substr(1));
    if (!number || *number % 100 > 59) return std::nullopt;
    const int minutes = static_cast<int>(*number / 100 * 60 + *number % 100);
    return zone[0] == '-' ? -minutes : minutes;
}

std::optional<UtcTime> parse_imap_date(std::string_view s) {
    Cursor in(s);
    const auto day = parse_uint(in.take_while(is_digit), 31);
    if (!day || !in.accept('-')) return std::nullopt;
    const int month = month_number(in.take_bytes(3));
    if (!in.accept('-')) return std::nullopt;
    const auto year = digits(in, 4);
    if (!year || !in.empty()) return std::nullopt;
    CivilTime c;
    c.year = *year;
    c.month = month;
    c.day = static_cast<int>(*day);
    if (!is_valid_date(c.year, c.month, c.day)) return std::nullopt;
    return from_civil(c);
}

std::optional<UtcTime> parse_imap_date_time(std::string_view s) {
    if (s.size() < 26) return std::nullopt;
    const auto date = parse_imap_date(s[0] == ' ' ? s.substr(1, 10) : s.substr(0, 11));
    if (!date || s[11] != ' ') return std::nullopt;
    Cursor in(s.substr(12));
    CivilTime c = to_civil(*date);
    if (!take_clock(in, c) || !in.accept(' ')) return std::nullopt;
    const auto zone = parse_zone_minutes(in.rest());
    if (!zone) return std::nullopt;
    return UtcTime{from_civil(c).ms - int64_t{*zone} * 60'000};
}

} // namespace tambo

// See date.h. The value is cut into at most kTokensMax words; then day, month, year and clock are
// recognised by their form.
#include "common/mime/date.h"

#include "common/mime/lexer.h"

#include <array>
#include <string>

namespace tambo::mime {

namespace {

constexpr size_t kTokensMax = 12;
constexpr size_t kTokenBytes = 32;

struct Tokens {
    std::array<std::string, kTokensMax> words;
    size_t count = 0;

    std::string_view operator[](size_t i) const {
        return i < count ? words[i] : std::string_view{};
    }
};

// Words between blanks, comments, commas and (in "24-Nov-2026") hyphens. "09 (c) : 55" is one word.
Tokens tokenize(std::string_view raw) {
    Tokens tokens;
    Cursor in(raw);
    for (bool joined = false;;) {
        const bool spaced = skip_cfws(in).any;
        if (in.empty()) return tokens;
        if (in.accept(',')) continue;
        if (tokens.count > 0 && in.accept(':')) {
            tokens.words[tokens.count - 1].push_back(':');
            joined = true;
            continue;
        }
        if (tokens.count > 0 && tokens.count < 4 && !spaced && in.accept('-')) continue;
        if (!joined && tokens.count == kTokensMax) return tokens;
        std::string& word = tokens.words[joined ? tokens.count - 1 : tokens.count];
        if (in.peek() == '+' || in.peek() == '-') word.push_back(in.take());
        word.append(in.take_while([](char c) { return is_alnum(c) || c == '.'; }));
        if (word.empty() || word.size() > kTokenBytes) return tokens;
        if (!joined) ++tokens.count;
        joined = false;
    }
}

std::optional<int> number(std::string_view text, int max) {
    if (text.empty() || text.size() > 4) return std::nullopt;
    const auto value = parse_uint(text, static_cast<uint64_t>(max));
    if (!value) return std::nullopt;
    return static_cast<int>(*value);
}

// RFC 5322 4.3: two digits 00..49 are 20xx, 50..99 and three digits count from 1900.
std::optional<int> year_of(std::string_view text) {
    const auto value = number(text, 9999);
    if (!value || text.size() < 2) return std::nullopt;
    if (text.size() == 2) return *value + (*value < 50 ? 2000 : 1900);
    return text.size() == 3 ? *value + 1900 : *value;
}

// "Nov" or "November".
int month_of(std::string_view text) {
    return text.size() < 3 || text.size() > 9 ? 0 : month_number(text.substr(0, 3));
}

// "5:20", "05:20:16", "05.20.16", fractions ignored.
bool take_clock(std::string_view text, CivilTime& c) {
    Cursor in(text);
    const auto hour = number(in.take_while(is_digit), 23);
    if (!hour || !(in.accept(':') || in.accept('.'))) return false;
    const auto minute = number(in.take_while(is_digit), 59);
    if (!minute) return false;
    std::optional<int> second = 0;
    if (in.accept(':') || in.accept('.')) second = number(in.take_while(is_digit), 60);
    if (!second) return false;
    if (in.accept('.')) in.take_while(is_digit);
    if (!in.empty()) return false;
    c.hour = *hour;
    c.minute = *minute;
    c.second = *second;
    return true;
}

struct Zone {
    std::string_view name;
    int minutes;
};

// RFC 5322 4.3; the letters of military zones were used with both signs and mean nothing.
constexpr std::array<Zone, 11> kZones{{{"UT", 0},
                                       {"GMT", 0},
                                       {"UTC", 0},
                                       {"EST", -300},
                                       {"EDT", -240},
                                       {"CST", -360},
                                       {"CDT", -300},
                                       {"MST", -420},
                                       {"MDT", -360},
                                       {"PST", -480},
                                       {"PDT", -420}}};

void take_zone(std::string_view text, std::string_view after, DateTime& date) {
    if (const auto minutes = parse_zone_minutes(text);
        minutes && *minutes > -1440 && *minutes < 1440) {
        date.zone_minutes = *minutes;
        date.zone_known = text != "-0000";
        return;
    }
    for (const Zone& zone : kZones) {
        if (!iequals(zone.name, text)) continue;
        date.zone_minutes = zone.minutes;
        date.zone_known = true;
        if (zone.minutes == 0 && !after.empty()) take_zone(after, "", date); // "GMT+0100"
        return;
    }
}

std::optional<DateTime> build(const CivilTime& c, const DateTime& zone) {
    if (!is_valid_date(c.year, c.month, c.day)) return std::nullopt;
    DateTime date = zone;
    date.utc = UtcTime{from_civil(c).ms - int64_t{zone.zone_minutes} * 60'000};
    return date;
}

// "Nov 24 05:20:16 2026", with an optional zone before the year.
std::optional<DateTime> parse_asctime(const Tokens& tokens, size_t at) {
    CivilTime c;
    DateTime zone;
    c.month = month_of(tokens[at]);
    const auto day = number(tokens[at + 1], 31);
    if (c.month == 0 || !day || !take_clock(tokens[at + 2], c)) return std::nullopt;
    auto year = year_of(tokens[at + 3]);
    if (!year) {
        take_zone(tokens[at + 3], "", zone);
        year = year_of(tokens[at + 4]);
    }
    if (!year) return std::nullopt;
    c.day = *day;
    c.year = *year;
    return build(c, zone);
}

} // namespace

UtcTime DateTime::sent_day() const {
    CivilTime c = to_civil(UtcTime{utc.ms + int64_t{zone_minutes} * 60'000});
    c.hour = c.minute = c.second = 0;
    return from_civil(c);
}

std::optional<DateTime> parse_date(std::string_view raw) {
    const Tokens tokens = tokenize(raw);
    size_t at = 0;
    if (!tokens[0].empty() && !is_digit(tokens[0][0]) && month_of(tokens[0]) == 0) ++at; // weekday
    if (month_of(tokens[at]) != 0) return parse_asctime(tokens, at);
    CivilTime c;
    DateTime zone;
    const auto day = number(tokens[at], 31);
    c.month = month_of(tokens[at + 1]);
    const auto year = year_of(tokens[at + 2]);
    if (!day || c.month == 0 || !year || !take_clock(tokens[at + 3], c)) return std::nullopt;
    c.day = *day;
    c.year = *year;
    take_zone(tokens[at + 4], tokens[at + 5], zone);
    return build(c, zone);
}

} // namespace tambo::mime

// See text.h. Nothing here allocates more than its result or looks beyond its input.
#include "common/base/text.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace tambo {

namespace {

struct Unit {
    std::string_view suffix;
    int64_t factor;
};

constexpr std::array<Unit, 5> kDurations{
    {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

std::optional<uint64_t> scaled(std::string_view digits, uint64_t factor) {
    const auto number = parse_uint(digits, static_cast<uint64_t>(INT64_MAX) / factor);
    if (!number) return std::nullopt;
    return *number * factor;
}

} // namespace

std::string to_lower(std::string_view s) {
    std::string out(s);
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

std::string to_upper(std::string_view s) {
    std::string out(s);
    std::transform(out.begin(), out.end(), out.begin(), upper);
    return out;
}

bool iequals(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                              [](char x, char y) { return lower(x) == lower(y); });
}

bool istarts_with(std::string_view s, std::string_view prefix) {
    return s.size() >= prefix.size() && iequals(s.substr(0, prefix.size()), prefix);
}

size_t ifind(std::string_view haystack, std::string_view needle) {
    const auto found = std::search(haystack.begin(), haystack.end(), needle.begin(), needle.end(),
                                   [](char x, char y) { return lower(x) == lower(y); });
    if (found == haystack.end() && !needle.empty()) return std::string_view::npos;
    return static_cast<size_t>(found - haystack.begin());
}

std::string_view trim(std::string_view s) {
    constexpr std::string_view kBlank = " \t\r\n";
    const auto first = s.find_first_not_of(kBlank);
    if (first == std::string_view::npos) return {};
    return s.substr(first, s.find_last_not_of(kBlank) - first + 1);
}

std::vector<std::string_view> split(std::string_view s, char separator) {
    std::vector<std::string_view> pieces;
    for (;;) {
        const auto at = s.find(separator);
        pieces.push_back(s.substr(0, at));
        if (at == std::string_view::npos) return pieces;
        s.remove_prefix(at + 1);
    }
}

std::pair<std::string_view, std::string_view> split_once(std::string_view s, char separator) {
    const auto at = s.find(separator);
    if (at == std::string_view::npos) return {s, {}};
    return {s.substr(0, at), s.substr(at + 1)};
}

bool is_ascii(std::string_view s) {
    while (s.size() >= sizeof(uint64_t)) { // message bodies: eight at a time
        uint64_t block = 0;
        std::memcpy(&block, s.data(), sizeof block);
        if ((block & 0x8080808080808080u) != 0) return false;
        s.remove_prefix(sizeof block);
    }
    return std::none_of(s.begin(), s.end(), is_8bit);
}

// RFC 3629 4.
size_t utf8_sequence(std::string_view s) {
    const auto at = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
    const unsigned char lead = at(0);
    if (lead < 0x80) return 1;
    size_t length = lead >= 0xC2 && lead <= 0xDF ? 2 : (lead & 0xF0) == 0xE0 ? 3 : 0;
    if (lead >= 0xF0 && lead <= 0xF4) length = 4;
    if (length == 0 || s.size() < length) return 0;
    for (size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xC0) != 0x80) return 0;
    }
    if (lead == 0xE0 && at(1) < 0xA0) return 0;
    if (lead == 0xED && at(1) > 0x9F) return 0;
    if (lead == 0xF0 && at(1) < 0x90) return 0;
    if (lead == 0xF4 && at(1) > 0x8F) return 0;
    return length;
}

bool is_utf8(std::string_view s) {
    while (!s.empty()) {
        const size_t length = utf8_sequence(s);
        if (length == 0) return false;
        s.remove_prefix(length);
    }
    return true;
}

std::optional<uint64_t> parse_uint(std::string_view s, uint64_t max) {
    if (s.empty() || !is_digit(s.front())) return std::nullopt;
    uint64_t number = 0;
    const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), number);
    if (ec != std::errc{} || end != s.data() + s.size() || number > max) return std::nullopt;
    return number;
}

std::optional<int64_t> parse_duration_ms(std::string_view s) {
    const auto digits_end = std::min(s.find_first_not_of("0123456789"), s.size());
    const auto suffix = s.substr(digits_end);
    for (const Unit& unit : kDurations) {
        if (suffix != unit.suffix && !(suffix.empty() && unit.suffix == "s")) continue;
        const auto value = scaled(s.substr(0, digits_end), static_cast<uint64_t>(unit.factor));
        if (!value) return std::nullopt;
        return static_cast<int64_t>(*value);
    }
    return std::nullopt;
}

std::optional<uint64_t> parse_size_bytes(std::string_view s) {
    if (s.empty()) return std::nullopt;
    switch (upper(s.back())) {
    case 'K':
        return scaled(s.substr(0, s.size() - 1), uint64_t{1} << 10);
    case 'M':
        return scaled(s.substr(0, s.size() - 1), uint64_t{1} << 20);
    case 'G':
        return scaled(s.substr(0, s.size() - 1), uint64_t{1} << 30);
    default:
        return scaled(s, 1);
    }
}

std::string format_duration(int64_t ms) {
    for (auto unit = kDurations.rbegin(); unit != kDurations.rend(); ++unit) {
        if (ms != 0 && ms % unit->factor == 0) return cat(ms / unit->factor, unit->suffix);
    }
    return cat(ms, ms == 0 ? "s" : "ms");
}

std::string to_hex(std::string_view bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out.push_back(kDigits[byte >> 4]);
        out.push_back(kDigits[byte & 15]);
    }
    return out;
}

std::optional<std::string> from_hex(std::string_view hex) {
    const auto nibble = [](char c) -> int {
        if (is_digit(c)) return c - '0';
        const char l = lower(c);
        return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
    };
    if (hex.size() % 2 != 0) return std::nullopt;
    std::string out;
    out.reserve(hex.size() / 2);
    for (size_t i = 0; i < hex.size(); i += 2) {
        const int high = nibble(hex[i]);
        const int low = nibble(hex[i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        out.push_back(static_cast<char>(high * 16 + low));
    }
    return out;
}

namespace {

// Characters beyond ASCII that a terminal obeys or that reorder a line: C1 controls, line and
// paragraph separator, marks and overrides of direction. utf8 begins with a whole character.
bool rules_terminal(std::string_view utf8) {
    const auto byte = [&utf8](size_t i) { return static_cast<unsigned char>(utf8[i]); };
    if (byte(0) == 0xC2) return byte(1) < 0xA0;
    if (byte(0) != 0xE2) return false;
    if (byte(1) == 0x80)
        return byte(2) >= 0x8E && byte(2) <= 0xAE && (byte(2) < 0x90 || byte(2) > 0xA7);
    return byte(1) == 0x81 && byte(2) >= 0xA6 && byte(2) <= 0xA9;
}

} // namespace

std::string escape(std::string_view s, size_t max_bytes) {
    const bool cut = s.size() > max_bytes;
    s = s.substr(0, max_bytes);
    std::string out;
    out.reserve(s.size());
    while (!s.empty()) {
        const size_t length = utf8_sequence(s);
        const char c = s.front();
        if (length > 1 && rules_terminal(s)) {
            for (const char byte : s.substr(0, length))
                out.append("\\x").append(to_hex({&byte, 1}));
        } else if (length > 1) {
            out.append(s.substr(0, length));
        } else if (length == 0 || is_ctl(c) || c == '\\' || c == '"') {
            out.append("\\x").append(to_hex(s.substr(0, 1)));
        } else {
            out.push_back(c);
        }
        s.remove_prefix(std::max<size_t>(length, 1));
    }
    if (cut) out.append("...");
    return out;
}

} // namespace tambo

// Text without locale: ASCII case, splitting, numbers, hex, concatenation, escaping for logs.
// The only integer parser and the only log escaper of the project live here.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo {

// ---- concatenation: cat("uid ", 42u, '\n') without streams or printf.
inline void cat_to(std::string& out, std::string_view s) { out.append(s); }
inline void cat_to(std::string& out, char c) { out.push_back(c); }
template <std::integral I>
    requires(!std::same_as<I, char> && !std::same_as<I, bool>)
void cat_to(std::string& out, I number) {
    char digits[24];
    auto [end, ec] = std::to_chars(digits, digits + sizeof digits, number);
    static_cast<void>(ec); // 24 characters hold any 64-bit integer
    out.append(digits, end);
}
template <class... Parts>
std::string cat(const Parts&... parts) {
    std::string out;
    (cat_to(out, parts), ...);
    return out;
}

// ---- ASCII classes; never locale-dependent.
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_alnum(char c) { return is_digit(c) || is_alpha(c); }
constexpr bool is_wsp(char c) { return c == ' ' || c == '\t'; }
constexpr bool is_8bit(char c) { return static_cast<unsigned char>(c) >= 0x80; }
// C0 controls and DEL.
constexpr bool is_ctl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

std::string to_lower(std::string_view s);
std::string to_upper(std::string_view s);
// ASCII case-insensitive comparisons.
bool iequals(std::string_view a, std::string_view b);
bool istarts_with(std::string_view s, std::string_view prefix);
// Position of needle in haystack, ASCII case-insensitive; npos if absent. O(n*m) worst case only
// for needles; callers bound the needle.
size_t ifind(std::string_view haystack, std::string_view needle);

// Without leading and trailing SP, HTAB, CR, LF. The view refers to s.
std::string_view trim(std::string_view s);
// Pieces between separators, empty ones included; views refer to s.
std::vector<std::string_view> split(std::string_view s, char separator);
// Everything before the first separator, and everything behind it (empty if there is none).
std::pair<std::string_view, std::string_view> split_once(std::string_view s, char separator);

bool is_ascii(std::string_view s);
// Well-formed UTF-8 (RFC 3629: no overlong forms, no surrogates, at most U+10FFFF).
bool is_utf8(std::string_view s);
// Length of the well-formed UTF-8 sequence that s (not empty) begins with, 0 if there is none.
size_t utf8_sequence(std::string_view s);

// The whole of s as a decimal number without sign, blanks or leading '+', at most max.
std::optional<uint64_t> parse_uint(std::string_view s, uint64_t max = UINT64_MAX);
// "300", "10s", "5m", "2h", "5d", "500ms" in milliseconds. A bare number counts seconds.
std::optional<int64_t> parse_duration_ms(std::string_view s);
// "4096", "50M", "1G", "256K" in bytes (powers of 1024).
std::optional<uint64_t> parse_size_bytes(std::string_view s);
// The reverse, in the largest unit that divides without rest: 300000 -> "5m".
std::string format_duration(int64_t ms);

std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view hex);

// Peer bytes for a log line: C0, C1, DEL, '\\', '"', invalid UTF-8 and what reorders or ends
// lines in Unicode become \xNN, at most max_bytes of input are shown, "..." marks a cut. The result has no quote, control or line end.
std::string escape(std::string_view s, size_t max_bytes = 512);

} // namespace tambo

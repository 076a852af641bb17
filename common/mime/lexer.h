// The lexical rules that the structured header fields share: blanks, folds, comments, quoted
// strings, atoms and tokens. Linear, no recursion however deep comments nest.
#pragma once

#include "common/base/cursor.h"
#include "common/base/text.h"

#include <string>
#include <string_view>

namespace tambo::mime {

constexpr bool is_line_end(char c) {
    return c == '\r' || c == '\n';
}
constexpr bool is_fws(char c) {
    return is_wsp(c) || is_line_end(c);
}

// RFC 5322 3.2.3 specials.
constexpr bool is_special(char c) {
    return std::string_view("()<>[]:;@\\,.\"").find(c) != std::string_view::npos;
}
// RFC 5322 3.2.3 atext, with the UTF-8 of RFC 6532 3.1 (any 8-bit byte; callers check is_utf8).
constexpr bool is_atext(char c) {
    return !is_special(c) && !is_ctl(c) && c != ' ';
}
// RFC 2045 5.1 token.
constexpr bool is_token(char c) {
    return !is_ctl(c) && c != ' ' && !is_8bit(c) &&
           std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
}

struct Skipped {
    bool any = false;   // at least one byte was skipped
    bool closed = true; // false: a comment ran into the end
};
// Skips blanks, line ends and nested comments (RFC 5322 3.2.2). If comment is given, it receives
// the text of the last one, without quoting, blanks trimmed.
Skipped skip_cfws(Cursor& in, std::string* comment = nullptr);

// in stands behind an opening quote: takes up to the closing one, appends the text without quoting
// and line ends. false: the input ended first (all of it is taken). RFC 5322 3.2.4.
bool take_quoted(Cursor& in, std::string& out);

// text as a quoted-string, with its quotes. CR, LF and NUL are dropped.
std::string quoted(std::string_view text);
// text is a dot-atom (RFC 5322 3.2.3).
bool is_dot_atom(std::string_view text);

// A raw field value without its folds: CR and LF removed, blanks around trimmed. RFC 5322 2.2.3.
std::string unfold(std::string_view raw);

} // namespace tambo::mime

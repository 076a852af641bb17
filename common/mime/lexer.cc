// See lexer.h.
#include "common/mime/lexer.h"

namespace tambo::mime {

namespace {

// in stands behind a backslash. An escaped line end (RFC 5322 4.1 obs-qp) is none in the text.
void take_escaped(Cursor& in, std::string& text) {
    const char c = in.take();
    if (!is_line_end(c)) text.push_back(c);
}

// in stands behind an opening parenthesis. false: the input ended inside.
bool take_comment(Cursor& in, std::string& text) {
    for (size_t depth = 1; !in.empty();) {
        const char c = in.take();
        if (c == '\\' && !in.empty()) {
            take_escaped(in, text);
            continue;
        }
        if (c == '(') ++depth;
        if (c == ')' && --depth == 0) return true;
        if (!is_line_end(c)) text.push_back(c);
    }
    return false;
}

} // namespace

Skipped skip_cfws(Cursor& in, std::string* comment) {
    Skipped skipped;
    std::string text;
    for (;;) {
        if (!in.take_while(is_fws).empty()) skipped.any = true;
        if (!in.accept('(')) return skipped;
        skipped.any = true;
        text.clear();
        skipped.closed = take_comment(in, text);
        if (comment != nullptr) comment->assign(trim(text));
    }
}

bool take_quoted(Cursor& in, std::string& out) {
    while (!in.empty()) {
        const auto plain =
            in.take_while([](char c) { return c != '"' && c != '\\' && !is_line_end(c); });
        out.append(plain);
        if (in.empty()) return false;
        const char c = in.take();
        if (c == '"') return true;
        if (c == '\\' && !in.empty()) take_escaped(in, out);
    }
    return false;
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (is_line_end(c) || c == '\0') continue;
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
    out.push_back('"');
    return out;
}

bool is_dot_atom(std::string_view text) {
    bool dot = true; // as if one stood in front
    for (const char c : text) {
        if (c == '.' ? dot : !is_atext(c)) return false;
        dot = c == '.';
    }
    return !dot;
}

std::string unfold(std::string_view raw) {
    std::string out;
    out.reserve(raw.size());
    for (const char c : trim(raw)) {
        if (!is_line_end(c)) out.push_back(c);
    }
    return out;
}

} // namespace tambo::mime

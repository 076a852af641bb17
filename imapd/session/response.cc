#include "imapd/session/response.h"

#include "common/base/text.h"
#include "imapd/session/mutf7.h"

#include <algorithm>
#include <array>

namespace tambo::imap {

namespace {

constexpr size_t kQuotedBytes = 1024;

struct FlagText {
    store::Flag flag;
    std::string_view text;
};

constexpr std::array<FlagText, 5> kFlagTexts{{{store::kSeen, "\\Seen"},
                                              {store::kAnswered, "\\Answered"},
                                              {store::kFlagged, "\\Flagged"},
                                              {store::kDeleted, "\\Deleted"},
                                              {store::kDraft, "\\Draft"}}};

bool fits_quoted(std::string_view s) {
    return s.size() <= kQuotedBytes && std::none_of(s.begin(), s.end(), [](char c) {
               return is_8bit(c) || c == '\r' || c == '\n' || c == '\0';
           });
}

} // namespace

void put_string(std::string& out, std::string_view s) {
    if (!fits_quoted(s)) {
        cat_to(out, cat('{', s.size(), "}\r\n"));
        const size_t start = out.size();
        out.append(s);
        std::replace(out.begin() + static_cast<std::ptrdiff_t>(start), out.end(), '\0', '\x80');
        return;
    }
    out.push_back('"');
    for (const char c : s) {
        if (c == '"' || c == '\\') out.push_back('\\');
        out.push_back(c);
    }
    out.push_back('"');
}

void put_astring(std::string& out, std::string_view s) {
    const bool atom = !s.empty() && !iequals(s, "NIL") && is_ascii(s) &&
                      std::all_of(s.begin(), s.end(), is_astring_char);
    if (!atom) return put_string(out, s);
    out.append(s);
}

void put_nstring(std::string& out, const std::optional<std::string>& s) {
    if (!s) {
        out.append("NIL");
    } else {
        put_string(out, *s);
    }
}

void put_mailbox(std::string& out, std::string_view utf8) {
    put_string(out, utf8_to_mutf7(utf8));
}

void put_flags(std::string& out, const FlagList& flags, bool recent) {
    const size_t start = out.size();
    for (const FlagText& known : kFlagTexts) {
        if ((flags.system & known.flag) == 0) continue;
        out.push_back(' ');
        out.append(known.text);
    }
    if (recent) out.append(" \\Recent");
    for (const auto& word : flags.keywords) {
        out.push_back(' ');
        out.append(word);
    }
    if (out.size() == start) out.push_back(' ');
    out[start] = '(';
    out.push_back(')');
}

} // namespace tambo::imap

#include "imapd/session/pattern.h"

#include "common/base/text.h"

#include <algorithm>
#include <vector>

namespace tambo::imap {

namespace {

constexpr std::string_view kInbox = "INBOX";

bool under_inbox(std::string_view name) {
    return istarts_with(name, kInbox) &&
           (name.size() == kInbox.size() || name[kInbox.size()] == kDelimiter);
}

} // namespace

bool is_inbox(std::string_view name) {
    return iequals(name, kInbox);
}

std::string canonical_name(std::string name) {
    if (under_inbox(name)) name.replace(0, kInbox.size(), kInbox);
    return name;
}

// All positions that the pattern can be at are carried along, so that no input makes it backtrack.
bool matches_pattern(std::string_view name, std::string_view pattern) {
    const bool inbox = under_inbox(name);
    std::vector<char> at(pattern.size() + 1, 0);
    std::vector<char> next(pattern.size() + 1, 0);
    const auto skip_wildcards = [&pattern](std::vector<char>& states) {
        for (size_t i = 0; i < pattern.size(); ++i) {
            if (states[i] && (pattern[i] == '*' || pattern[i] == '%')) states[i + 1] = 1;
        }
    };
    at[0] = 1;
    skip_wildcards(at);
    for (size_t n = 0; n < name.size(); ++n) {
        std::fill(next.begin(), next.end(), char{0});
        const bool any_case = inbox && n < kInbox.size();
        for (size_t i = 0; i < pattern.size(); ++i) {
            if (!at[i]) continue;
            const char p = pattern[i];
            if (p == '*' || (p == '%' && name[n] != kDelimiter)) next[i] = 1;
            if (p == name[n] || (any_case && upper(p) == upper(name[n]))) next[i + 1] = 1;
        }
        skip_wildcards(next);
        at.swap(next);
    }
    return at[pattern.size()] != 0;
}

} // namespace tambo::imap

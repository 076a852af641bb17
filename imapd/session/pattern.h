// LIST and LSUB patterns: '*' matches anything, '%' anything but the hierarchy delimiter
// (RFC 3501 6.3.8).
#pragma once

#include <string>
#include <string_view>

namespace tambo::imap {

inline constexpr char kDelimiter = '/';

// Both in UTF-8. The first five bytes of INBOX and of names below it match in any case. O(name *
// pattern); callers bound both.
bool matches_pattern(std::string_view name, std::string_view pattern);
// INBOX in any case.
bool is_inbox(std::string_view name);
// INBOX in upper case where the name is INBOX or begins with it as a hierarchy level.
std::string canonical_name(std::string name);

} // namespace tambo::imap

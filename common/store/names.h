// Mailbox names as data: validation and the arithmetic of hierarchy. Names are never paths.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::store {

// The stored form: INBOX as the first level in capitals, otherwise unchanged. nullopt for names
// that nobody may create: not UTF-8, controls, "%" or "*", empty, "." or ".." levels, a separator
// at either end, too long or deep (limits.h), INBOX below INBOX. RFC 9051 5.1.
std::optional<std::string> normalise_name(std::string_view name);

// "a/b" of "a/b/c"; "" of a top level name.
std::string_view parent_of(std::string_view name);
// All proper ancestors, topmost first: "a", "a/b" of "a/b/c".
std::vector<std::string> ancestors_of(std::string_view name);
// True for "a/b" below "a", not for "a" itself.
bool is_below(std::string_view name, std::string_view tree);

} // namespace tambo::store

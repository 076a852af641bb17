// What a new password must be like: one rule for who asks for it and for who keeps it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace tambo {

inline constexpr size_t kPasswordBytesMin = 8;
inline constexpr size_t kPasswordBytesMax = 1024;

// What is wrong with it, as the end of a sentence for a person; nullopt: nothing. weak: the
// administrator knows (accounts that come from another server), anything but an empty one will do.
std::optional<std::string> password_problem(std::string_view password, bool weak);

} // namespace tambo

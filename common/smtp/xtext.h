// xtext, RFC 3461 4: the encoding of parameter values that may hold any printable character.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tambo::smtp {

// "+" two upper-case hex digits stands for a byte. nullopt for what is not xtext. The result may
// hold any byte: callers check it for what it names.
std::optional<std::string> xtext_decode(std::string_view text);
std::string xtext_encode(std::string_view bytes);

} // namespace tambo::smtp

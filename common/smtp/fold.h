// The comparison form of local parts: case folded and in Normalization Form C (RULES.md K1).
#pragma once

#include <string>
#include <string_view>

namespace tambo::smtp {

// Full case folding (not Turkic) and NFC; applying it twice changes nothing. utf8 must be
// well-formed UTF-8 of at most some thousand bytes (check); the result may be up to three times as
// long.
std::string fold(std::string_view utf8);

} // namespace tambo::smtp

// How far a mistyped word is from one that exists.
#pragma once

#include <cstddef>
#include <string_view>

namespace tambo {

// Edits (insert, delete, replace, swap of neighbours) from a to b. Both are short: it takes the
// product of their lengths, in time and in memory.
size_t edit_distance(std::string_view a, std::string_view b);

} // namespace tambo

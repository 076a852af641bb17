// System calls by purpose, as data: the words that sandbox profiles are written in.
#pragma once

#include <span>
#include <string_view>

namespace tambo::sandbox {

// All lists are words with blanks between them: names as the kernel has them. Names that an
// architecture lacks are skipped.
struct CallGroup {
    unsigned bit; // of Calls; 0: every process
    std::string_view names;
};

std::span<const CallGroup> call_groups();

// Nobody needs them after start: the process is killed.
std::string_view killing_calls();
// Killed in account processes as well: Landlock does not cover them on older kernels.
std::string_view killing_in_account();
// Newer calls for which libraries have a fallback: ENOSYS makes them take it.
std::string_view absent_calls();

} // namespace tambo::sandbox

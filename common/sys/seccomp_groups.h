// System calls by purpose, as data: the words that sandbox profiles are written in.
#pragma once

#include <span>
#include <string_view>

namespace tambo::sandbox {

// A group of a Calls bit. Names as the kernel has them; names that an architecture lacks are
// skipped.
struct CallGroup {
    unsigned bit; // of Calls; 0: every process
    std::span<const char* const> names;
};

std::span<const CallGroup> call_groups();

// Nobody needs them after start: the process is killed.
std::span<const char* const> killing_calls();
// Killed in account processes as well: Landlock does not cover them on older kernels.
std::span<const char* const> killing_in_account();
// Newer calls for which libraries have a fallback: ENOSYS makes them take it.
std::span<const char* const> absent_calls();

} // namespace tambo::sandbox

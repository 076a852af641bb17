// The seccomp filter of a profile: built once with libseccomp, loaded as often as needed (the
// zygote builds the account processes' filter before any of them exists).
#pragma once

#include "common/sys/sandbox_profiles.h"

#include <cstdint>
#include <vector>

namespace tambo::sandbox {

// One BPF instruction, layout of struct sock_filter.
struct FilterStep {
    uint16_t code = 0;
    uint8_t jump_true = 0, jump_false = 0;
    uint32_t k = 0;
};

// Throws std::system_error if the library refuses.
std::vector<FilterStep> build_filter(const Profile& profile);

// Loads it for this thread and all it will make, for good; no_new_privs must be set. Throws
// std::system_error.
void load_filter(std::vector<FilterStep> filter);

} // namespace tambo::sandbox

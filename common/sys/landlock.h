// Landlock (landlock(7)) by raw system calls: which files a process may still reach by name. The
// kernel's header is not included: ours must know more rights than the oldest system we build on.
#pragma once

#include <cstdint>
#include <span>

namespace tambo::sandbox {

// What a process may do below a directory (or to one file).
struct Access {
    enum Bit : unsigned {
        read_file = 1,
        list = 2,   // read directories, which is also what syncing one needs
        write = 4,  // open for writing, truncate
        create = 8, // regular files and directories
        remove = 16,
        refer = 32, // link and rename between directories
        read_only = read_file | list,
        read_write = read_file | list | write | create | remove,
    };
};

// An open directory or file (O_PATH will do), kept by the caller, and the Accesses below it.
struct PathRule {
    int fd = -1;
    unsigned access = 0;
};

struct LandlockRules {
    std::span<const PathRule> paths;
    std::span<const uint16_t> connect_ports; // TCP ports (ABI 4); others cannot be connected to
    bool scope_signals = false;              // ABI 6: signals reach this process's domain only
};

// The ABI of the running kernel, 0 if it has none. TAMBO_LANDLOCK_ABI in the environment lowers it:
// for tests of what older kernels do.
int landlock_abi();

// Restricts this thread for good; no_new_privs must be set. What the ABI does not know is left
// out. abi 0 does nothing. Throws std::system_error.
void landlock_restrict(const LandlockRules& rules, int abi);

} // namespace tambo::sandbox

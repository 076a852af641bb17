// One row per kind of process: what it may still ask of the kernel once it serves. The rows are
// in sandbox_profiles.cc; which system calls a group means is in seccomp_groups.cc.
#pragma once

#include <cstdint>
#include <string_view>

namespace tambo::sandbox {

// Groups of system calls beyond what every process needs (seccomp_groups.cc).
struct Calls {
    enum Bit : unsigned {
        accept_connections = 1u << 0, // on a listening socket it was given
        inet_sockets = 1u << 1,       // make and connect IPv4 and IPv6 sockets
        files = 1u << 2,              // open, create, remove, rename, lock, sync: what SQLite needs
        link_files = 1u << 3,
        sync_filesystem = 1u << 4,
        file_modes = 1u << 5, // chmod and chown families, on what DAC allows
        threads = 1u << 6,
        fork = 1u << 7, // and wait
        signal_others = 1u << 8,
        sandboxing = 1u << 9, // what entering a further sandbox takes
    };
};

// How the filter treats what no group allows.
enum class Style {
    allow_list, // refused with EPERM or ENOSYS; the dangerous calls kill (all daemons)
    account,    // as allow_list; also truncate, the chmod, chown, utime and xattr families and
                // signals to others kill
    deny_list,  // allowed; only the dangerous calls kill (master: its children inherit it)
};

struct Profile {
    std::string_view name;
    Style style;
    unsigned calls;
    uint64_t address_space_max; // RLIMIT_AS in bytes, 0: not limited
    uint64_t file_size_max;     // RLIMIT_FSIZE in bytes, 0: not limited; an Entry may lower it
    uint32_t open_files_max;    // RLIMIT_NOFILE; an Entry may set another
    uint32_t processes_max;     // RLIMIT_NPROC of a user of its own, with fork or threads
    bool keeps_chroot;          // CAP_SYS_CHROOT stays (as root, without Landlock)
};

namespace profiles {
extern const Profile master, smtpd, login, keeper, zygote, account, deliverd, queued, relayd, dnsd,
    authd, keyd, logd;
} // namespace profiles

// nullptr if there is none of that name.
const Profile* find_profile(std::string_view name);

} // namespace tambo::sandbox

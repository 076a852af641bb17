// The last step of a daemon before it serves: from then on the process can do what its Profile row
// says and nothing else, as its own user, without capabilities. There is no way back.
//
// In builds with sanitizers (TAMBO_SANITIZED) the seccomp filter and RLIMIT_AS are left out,
// because the sanitizers' own calls break under them; the rest is the same. Sandbox tests therefore
// use the release build.
#pragma once

#include "common/sys/landlock.h"
#include "common/sys/sandbox_profiles.h"
#include "common/sys/seccomp_filter.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::sandbox {

// Whom to become; change_user false: stay who we are (unprivileged suite).
struct Identity {
    bool change_user = false;
    uint32_t uid = 0, gid = 0;
    std::vector<uint32_t> groups;
};

// What a process brings along that its profile cannot know. Descriptors stay the caller's.
struct Entry {
    Identity identity;
    std::vector<PathRule> paths;         // all that stays reachable by name (Landlock)
    std::vector<uint16_t> connect_ports; // TCP ports that stay reachable (Landlock ABI 4)
    int root_fd = -1;                    // with CAP_SYS_CHROOT: the new root directory; -1: none
    uint64_t file_size_max = 0;          // lower than the profile's; 0: the profile's
    uint32_t open_files_max = 0;         // 0: the profile's; never above the hard limit
};

// What the process got. missing() is for Ready and `tambo status`: empty if nothing is missing.
struct Isolation {
    bool seccomp = false;
    bool own_user = false;
    bool chroot = false;
    int landlock_abi = 0;

    std::string missing() const;
};

// A profile made ready once for many processes: the zygote holds the account processes'.
class Prepared {
  public:
    explicit Prepared(const Profile& profile);
    // Must run while the process has one thread. Standard input and output become /dev/null (unless
    // the profile is master's). Throws std::system_error if a step that the kernel has fails; the
    // process must then end.
    Isolation enter(const Entry& entry) const;

  private:
    const Profile& profile_;
    std::vector<FilterStep> filter_;
};

// Prepared(profile).enter(entry).
Isolation enter(const Profile& profile, const Entry& entry);

} // namespace tambo::sandbox

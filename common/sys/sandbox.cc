// See sandbox.h. The order matters: what needs files before Landlock, what needs root before the
// user changes, no_new_privs before Landlock and seccomp, dumpable after the user changed (the
// kernel resets it then), seccomp last.
#include "common/sys/sandbox.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/base/unique_fd.h"
#include "common/sys/error.h"
#include "common/sys/file.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace tambo::sandbox {

namespace {

#ifdef TAMBO_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

struct Capabilities {
    uint64_t effective = 0, permitted = 0, inheritable = 0;
};

Capabilities capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capget, &header, data) != 0) throw_errno("capget");
    const auto join = [](uint32_t low, uint32_t high) { return low | uint64_t{high} << 32; };
    return {join(data[0].effective, data[1].effective), join(data[0].permitted, data[1].permitted),
            join(data[0].inheritable, data[1].inheritable)};
}

void set_capabilities(uint64_t both) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    for (int half = 0; half < 2; ++half) {
        data[half].effective = data[half].permitted = static_cast<uint32_t>(both >> (32 * half));
    }
    if (::syscall(SYS_capset, &header, data) != 0) throw_errno("capset");
}

bool has_capability(int number) {
    return (capabilities().effective >> number & 1) != 0;
}

void check_single_threaded() {
    if (kSanitized) return; // ThreadSanitizer has a thread of its own
    std::error_code error;
    std::filesystem::directory_iterator tasks("/proc/self/task", error);
    if (error) return; // no /proc in this root: the zygote's children have one thread by nature
    check(std::distance(begin(tasks), end(tasks)) == 1, "sandbox entered with threads running");
}

void close_standard_streams() {
    struct stat st {};
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null.valid()) return; // in a chroot: the parent has done it
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO}) {
        if (::dup2(null.get(), fd) < 0) throw_errno("dup2 of /dev/null");
    }
    // Messages of check() must not end in a file that happens to be descriptor 2.
    if (::fstat(STDERR_FILENO, &st) != 0) ::dup2(null.get(), STDERR_FILENO);
}

// What master needs, and what its children, who begin with no more, need to enter their sandboxes.
constexpr uint64_t kOfMaster = [] {
    uint64_t set = 0;
    for (const int number : {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_KILL, CAP_SETGID,
                             CAP_SETUID, CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT}) {
        set |= uint64_t{1} << number;
    }
    return set;
}();

bool change_root(const Entry& entry) {
    if (entry.root_fd < 0 || !has_capability(CAP_SYS_CHROOT)) return false;
    if (::fchdir(entry.root_fd) != 0) throw_errno("fchdir to the new root");
    if (::chroot(".") != 0) throw_errno("chroot");
    return true;
}

// keep: a set of capabilities that outlives the change of user.
void drop_privileges(const Identity& identity, uint64_t keep) {
    if (has_capability(CAP_SETPCAP)) {
        for (int number = 0; ::prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; ++number) {
            if (keep >> number & 1) continue;
            if (::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) throw_errno("PR_CAPBSET_DROP");
        }
    }
    if (identity.change_user) {
        if (keep != 0) ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
        const std::vector<gid_t> groups(identity.groups.begin(), identity.groups.end());
        if (::setgroups(groups.size(), groups.data()) != 0) throw_errno("setgroups");
        if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) throw_errno("setresgid");
        if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) throw_errno("setresuid");
    }
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); // absent on kernels before 4.3
    set_capabilities(keep & capabilities().permitted);
    if (identity.change_user && identity.uid != 0) {
        check(::setuid(0) != 0, "root came back after it was given up");
    }
}

void lower(__rlimit_resource resource, uint64_t value, const char* name) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0) throw_errno(name);
    limit.rlim_max = std::min<rlim_t>(limit.rlim_max, value);
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(resource, &limit) != 0) throw_errno(name);
}

void set_limits(const Profile& profile, const Entry& entry) {
    lower(RLIMIT_CORE, 0, "RLIMIT_CORE");
    lower(RLIMIT_NOFILE, entry.open_files_max ? entry.open_files_max : profile.open_files_max,
          "RLIMIT_NOFILE");
    if (profile.address_space_max != 0 && !kSanitized) {
        lower(RLIMIT_AS, profile.address_space_max, "RLIMIT_AS");
    }
    uint64_t file_size = profile.file_size_max;
    if (entry.file_size_max != 0) {
        file_size = file_size == 0 ? entry.file_size_max : std::min(file_size, entry.file_size_max);
    }
    if (file_size != 0) lower(RLIMIT_FSIZE, file_size, "RLIMIT_FSIZE");
    // The limit counts all processes of the user: a number is possible only where the user is ours.
    const bool makes_tasks = (profile.calls & (Calls::fork | Calls::threads)) != 0;
    if (!makes_tasks) lower(RLIMIT_NPROC, 0, "RLIMIT_NPROC");
    if (makes_tasks && entry.identity.change_user && profile.processes_max != 0) {
        lower(RLIMIT_NPROC, profile.processes_max, "RLIMIT_NPROC");
    }
}

void set_flag(int option, unsigned long value, const char* name) {
    if (::prctl(option, value, 0, 0, 0) != 0) throw_errno(name);
}

// Kernels before 5.19 (ABI 1) refuse every link between directories under Landlock: a process that
// lives from linking goes without it there.
int usable_abi(const Profile& profile) {
    const int abi = landlock_abi();
    return abi == 1 && (profile.calls & Calls::link_files) ? 0 : abi;
}

} // namespace

std::string Isolation::missing() const {
    std::string out;
    const auto add = [&out](const std::string& what) { out += (out.empty() ? "" : ", ") + what; };
    if (!seccomp) add("no seccomp filter");
    if (landlock_abi == 0) add(chroot ? "chroot instead of Landlock" : "no Landlock");
    if (!own_user) add("no user of its own");
    return out;
}

Prepared::Prepared(const Profile& profile) : profile_(profile) {
    if (!kSanitized) filter_ = build_filter(profile);
}

Isolation Prepared::enter(const Entry& entry) const {
    const bool is_master = profile_.style == Style::deny_list;
    Isolation isolation;
    if (is_master) { // its children begin where it is: only what they can live with
        drop_privileges({}, kOfMaster);
        set_flag(PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS");
        if (!kSanitized) load_filter(filter_);
        isolation.seccomp = !kSanitized;
        return isolation;
    }
    if (profile_.style != Style::account) { // forked for a login: the zygote has done both
        check_single_threaded();
        close_standard_streams();
    }
    isolation.landlock_abi = usable_abi(profile_);
    const bool zygote = profile_.keeps_chroot;
    isolation.chroot = !zygote && change_root(entry);
    const bool keeps = zygote && isolation.landlock_abi == 0 && has_capability(CAP_SYS_CHROOT);
    drop_privileges(entry.identity, keeps ? uint64_t{1} << CAP_SYS_CHROOT : 0);
    isolation.own_user = entry.identity.change_user;
    set_flag(PR_SET_NO_NEW_PRIVS, 1, "PR_SET_NO_NEW_PRIVS");
    set_flag(PR_SET_DUMPABLE, 0, "PR_SET_DUMPABLE");
    set_limits(profile_, entry);
    LandlockRules rules;
    rules.paths = entry.paths;
    rules.connect_ports = entry.connect_ports;
    rules.scope_signals = (profile_.calls & (Calls::signal_others | Calls::fork)) == 0;
    landlock_restrict(rules, isolation.landlock_abi);
    if (!kSanitized) load_filter(filter_);
    isolation.seccomp = !kSanitized;
    return isolation;
}

Isolation enter(const Profile& profile, const Entry& entry) {
    return Prepared(profile).enter(entry);
}

} // namespace tambo::sandbox

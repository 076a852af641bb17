// Rules with arguments live here. Two traps: libseccomp takes only one comparison per argument and
// rule, and "signals to myself" depends on a process id that is not known when the filter is built;
// the id is a mark in the program, replaced when it is loaded.
#include "common/sys/seccomp_filter.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/sys/error.h"
#include "common/sys/file.h"
#include "common/sys/seccomp_groups.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace tambo::sandbox {

namespace {

static_assert(sizeof(FilterStep) == sizeof(sock_filter));

constexpr uint32_t kOwnProcess = 0x5E1F0B1D; // no process id is this large
constexpr uint64_t kNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
constexpr int kFamilies = 64; // more than there are

bool contains(std::string_view names, std::string_view name) {
    const auto all = split(names, ' ');
    return std::ranges::find(all, name) != all.end();
}

// libseccomp's context with errors as exceptions.
class Builder {
  public:
    explicit Builder(const Profile& profile)
        : profile_(profile), context_(seccomp_init(fallback())) {
        if (!context_) throw_error(ENOMEM, "seccomp_init");
        require(seccomp_attr_set(context_, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
        require(seccomp_attr_set(context_, SCMP_FLTATR_CTL_OPTIMIZE, 2)); // binary search
    }
    ~Builder() { seccomp_release(context_); }
    Builder(const Builder&) = delete;

    std::vector<FilterStep> build() {
        kill_dangerous();
        namespaces();
        sockets();
        if (profile_.style != Style::deny_list) {
            allow_groups();
            memory();
            process_controls();
            signals();
            for (const auto name : split(absent_calls(), ' ')) {
                if (!allowed(name)) add(SCMP_ACT_ERRNO(ENOSYS), name, {});
            }
        }
        return exported();
    }

  private:
    using Conditions = std::vector<scmp_arg_cmp>;

    uint32_t fallback() const {
        return profile_.style == Style::deny_list ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM);
    }
    bool has(unsigned bit) const { return (profile_.calls & bit) != 0; }

    static void require(int result) {
        if (result != 0) throw_error(-result, "libseccomp");
    }

    void add(uint32_t action, std::string_view name, const Conditions& when) {
        const int number = seccomp_syscall_resolve_name(std::string(name).c_str());
        if (number < 0) return; // not on this architecture, or newer than the library
        require(seccomp_rule_add_array(context_, action, number, static_cast<unsigned>(when.size()),
                                       when.data()));
    }

    bool allowed(std::string_view name) const {
        return std::ranges::any_of(call_groups(), [&](const CallGroup& group) {
            return (group.bit == 0 || has(group.bit)) && contains(group.names, name);
        });
    }

    void kill_dangerous() {
        const bool starts_programs = profile_.style == Style::deny_list;
        for (const auto name : split(killing_calls(), ' ')) {
            if (starts_programs && name.starts_with("execve")) continue;
            add(SCMP_ACT_KILL_PROCESS, name, {});
        }
        if (profile_.style != Style::account) return;
        for (const auto name : split(killing_in_account(), ' '))
            add(SCMP_ACT_KILL_PROCESS, name, {});
    }

    void allow_groups() {
        for (const CallGroup& group : call_groups()) {
            if (group.bit != 0 && !has(group.bit)) continue;
            for (const auto name : split(group.names, ' '))
                add(SCMP_ACT_ALLOW, name, {});
        }
    }

    // No process makes a namespace; some make threads or children.
    void namespaces() {
        for (uint64_t bit = 1; bit <= kNamespaces; bit <<= 1) {
            if (!(kNamespaces & bit)) continue;
            add(SCMP_ACT_KILL_PROCESS, "clone", {SCMP_A0(SCMP_CMP_MASKED_EQ, bit, bit)});
        }
        if (profile_.style == Style::deny_list) {
            // clone3 hides its flags in memory: the library takes clone instead.
            add(SCMP_ACT_ERRNO(ENOSYS), "clone3", {});
            return;
        }
        const uint64_t mask = kNamespaces | CLONE_THREAD;
        if (has(Calls::threads)) {
            add(SCMP_ACT_ALLOW, "clone", {SCMP_A0(SCMP_CMP_MASKED_EQ, mask, CLONE_THREAD)});
        }
        if (has(Calls::fork)) {
            add(SCMP_ACT_ALLOW, "clone", {SCMP_A0(SCMP_CMP_MASKED_EQ, mask, 0)});
        }
    }

    void sockets() {
        if (profile_.style == Style::deny_list) return;
        const auto listed = [this](int family) {
            return has(Calls::inet_sockets) && (family == AF_INET || family == AF_INET6);
        };
        for (int family = 0; family < kFamilies; ++family) {
            const auto number = static_cast<scmp_datum_t>(family);
            add(listed(family) ? SCMP_ACT_ALLOW : SCMP_ACT_KILL_PROCESS, "socket",
                {SCMP_A0(SCMP_CMP_EQ, number, 0)});
        }
        add(SCMP_ACT_KILL_PROCESS, "socket", {SCMP_A0(SCMP_CMP_GE, kFamilies, 0)});
        add(SCMP_ACT_ALLOW, "socketpair", {SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0)});
    }

    // Memory is never made executable after start.
    void memory() {
        for (const char* name : {"mmap", "mprotect"}) {
            add(SCMP_ACT_ALLOW, name, {SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)});
        }
    }

    void process_controls() {
        for (const int option : {PR_SET_NAME, PR_GET_NAME, PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS}) {
            prctl_option(option);
        }
        // Reading a limit, not setting one.
        add(SCMP_ACT_ALLOW, "prlimit64", {SCMP_A2(SCMP_CMP_EQ, 0, 0)});
        if (!has(Calls::sandboxing)) return;
        for (const int option : {PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP, PR_CAPBSET_READ,
                                 PR_CAP_AMBIENT, PR_SET_KEEPCAPS, PR_SET_DUMPABLE}) {
            prctl_option(option);
        }
        add(SCMP_ACT_ALLOW, "prlimit64", {SCMP_A0(SCMP_CMP_EQ, 0, 0)});
    }

    void prctl_option(int option) {
        add(SCMP_ACT_ALLOW, "prctl", {SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(option), 0)});
    }

    // abort() signals its own process. What forks cannot say "my own": children inherit the filter.
    void signals() {
        if (has(Calls::fork) || has(Calls::signal_others)) {
            add(SCMP_ACT_ALLOW, "tgkill", {});
            return;
        }
        add(SCMP_ACT_ALLOW, "tgkill", {SCMP_A0(SCMP_CMP_EQ, kOwnProcess, 0)});
        if (profile_.style != Style::account) return;
        add(SCMP_ACT_KILL_PROCESS, "tgkill", {SCMP_A0(SCMP_CMP_NE, kOwnProcess, 0)});
    }

    std::vector<FilterStep> exported() {
        const UniqueFd memory(static_cast<int>(::syscall(SYS_memfd_create, "filter", MFD_CLOEXEC)));
        if (!memory.valid()) throw_errno("memfd_create");
        require(seccomp_export_bpf(context_, memory.get()));
        const std::string bytes = read_whole(memory.get(), 1 << 20, "seccomp filter");
        check(bytes.size() % sizeof(FilterStep) == 0, "a torn BPF program");
        std::vector<FilterStep> filter(bytes.size() / sizeof(FilterStep));
        std::memcpy(filter.data(), bytes.data(), bytes.size());
        return filter;
    }

    const Profile& profile_;
    scmp_filter_ctx context_;
};

} // namespace

std::vector<FilterStep> build_filter(const Profile& profile) {
    return Builder(profile).build();
}

void load_filter(std::vector<FilterStep> filter) {
    const auto own = static_cast<uint32_t>(::getpid());
    for (FilterStep& step : filter) {
        const bool compares = BPF_CLASS(step.code) == BPF_JMP && BPF_OP(step.code) == BPF_JEQ;
        if (compares && step.k == kOwnProcess) step.k = own;
    }
    sock_fprog program{};
    program.len = static_cast<unsigned short>(filter.size());
    program.filter = reinterpret_cast<sock_filter*>(filter.data());
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
        throw_errno("loading the seccomp filter");
    }
}

} // namespace tambo::sandbox

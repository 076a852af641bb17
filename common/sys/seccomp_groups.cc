// Calls whose arguments matter (clone, mmap, mprotect, prctl, socket, tgkill, ...) are not listed
// here but built in seccomp_filter.cc.
#include "common/sys/seccomp_groups.h"

#include "common/sys/sandbox_profiles.h"

#include <array>

namespace tambo::sandbox {

namespace {

using enum Calls::Bit;

// The C library, the loop, descriptors that were passed, memory, time.
constexpr std::string_view kEveryProcess =
    "brk munmap mremap madvise futex rseq set_robust_list membarrier read readv pread64 "
    "preadv write writev pwrite64 pwritev lseek close close_range dup dup2 dup3 fcntl fcntl64 "
    "fstat newfstatat fstatfs poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait "
    "epoll_pwait eventfd2 timerfd_create timerfd_settime timerfd_gettime pipe2 recvmsg "
    "recvmmsg "
    "recvfrom sendmsg sendto shutdown getsockopt setsockopt getsockname getpeername "
    "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time getrandom getpid "
    "gettid getppid getuid geteuid getgid getegid getgroups getrlimit getrusage times uname "
    "sysinfo sched_yield sched_getaffinity rt_sigaction rt_sigprocmask rt_sigreturn "
    "sigaltstack restart_syscall exit exit_group umask";
constexpr std::string_view kAccept = "accept4 accept";
constexpr std::string_view kConnect = "connect";
constexpr std::string_view kFiles =
    "stat lstat statfs access faccessat readlink readlinkat getdents64 getcwd fchdir chdir "
    "fadvise64 open openat openat2 creat mkdir mkdirat rmdir unlink unlinkat rename renameat "
    "renameat2 ftruncate fallocate flock fsync fdatasync sync_file_range copy_file_range "
    "sendfile";
constexpr std::string_view kLinkFiles = "link linkat";
constexpr std::string_view kSync = "syncfs";
constexpr std::string_view kFileModes =
    "chmod fchmod fchmodat chown fchown lchown fchownat utimensat";
constexpr std::string_view kFork = "wait4 waitid vfork fork";
constexpr std::string_view kSignals = "kill tkill pidfd_open pidfd_send_signal";
constexpr std::string_view kSandboxing =
    "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self capset capget "
    "chroot setgroups setresuid setresgid getresuid getresgid setrlimit";

constexpr std::array<CallGroup, 10> kGroups{{
    {0, kEveryProcess},
    {accept_connections, kAccept},
    {inet_sockets, kConnect},
    {files, kFiles},
    {link_files, kLinkFiles},
    {sync_filesystem, kSync},
    {file_modes, kFileModes},
    {fork, kFork},
    {signal_others, kSignals},
    {sandboxing, kSandboxing},
}};

constexpr std::string_view kKilling =
    "execve execveat ptrace process_vm_readv process_vm_writev process_madvise kcmp "
    "pidfd_getfd io_uring_setup io_uring_enter io_uring_register userfaultfd bpf keyctl "
    "add_key request_key mount umount umount2 pivot_root move_mount open_tree fsopen fsmount "
    "fsconfig fspick mount_setattr unshare setns kexec_load kexec_file_load init_module "
    "finit_module delete_module perf_event_open reboot swapon swapoff iopl ioperm "
    "open_by_handle_at name_to_handle_at quotactl acct settimeofday clock_settime sethostname "
    "setdomainname modify_ldt personality lookup_dcookie nfsservctl uselib vhangup syslog";
constexpr std::string_view kKillingInAccount =
    "truncate chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes "
    "utimensat futimesat setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr "
    "kill tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal";
constexpr std::string_view kAbsent =
    "clone3 faccessat2 openat2 epoll_pwait2 futex_waitv statx preadv2 pwritev2";

} // namespace

std::span<const CallGroup> call_groups() {
    return kGroups;
}
std::string_view killing_calls() {
    return kKilling;
}
std::string_view killing_in_account() {
    return kKillingInAccount;
}
std::string_view absent_calls() {
    return kAbsent;
}

} // namespace tambo::sandbox

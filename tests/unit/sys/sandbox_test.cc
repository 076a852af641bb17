// Every profile is entered for real in a child process, which then tries what it must not be able
// to do and what it needs. The seccomp part exists in builds without sanitizers only (sandbox.h).
#include "common/sys/sandbox.h"

#include "common/base/text.h"
#include "common/base/unique_fd.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <pthread.h>
#include <sched.h>

using namespace tambo;
using namespace tambo::sandbox;

namespace {

// A directory of the test's own, writable for everybody, with a file in it.
class Directory {
  public:
    Directory() {
        char name[] = "/tmp/tambo-sandbox-XXXXXX";
        REQUIRE(mkdtemp(name));
        path_ = name;
        REQUIRE(::chmod(path_.c_str(), 0777) == 0);
        UniqueFd file(::open((path_ + "/file").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666));
        REQUIRE(file.valid());
        REQUIRE(::fchmod(file.get(), 0666) == 0);
        fd_.reset(::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    ~Directory() { std::filesystem::remove_all(path_); }
    int fd() const { return fd_.get(); }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
    UniqueFd fd_;
};

// Runs fn in a child: "works" (fn returned 0), "errno N" (it returned N), "signal N".
std::string in_child(const std::function<int()>& fn) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        // Deaths by signal are what some tests want; no report of a sanitizer or core file.
        std::signal(SIGABRT, SIG_DFL);
        int result = 255;
        try {
            result = fn();
        } catch (const std::exception& e) {
            std::fprintf(stderr, "in the child: %s\n", e.what());
        }
        ::_exit(result);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) return cat("signal ", WTERMSIG(status));
    const int code = WEXITSTATUS(status);
    return code == 0 ? "works" : cat("errno ", code);
}

// The result of a system call as in_child() wants it.
int outcome(long result) {
    return result < 0 ? errno : 0;
}

Entry entry_for(const Directory& directory, unsigned access = Access::read_write) {
    Entry entry;
    entry.paths = {{directory.fd(), access}};
    if (::geteuid() == 0) entry.identity = {true, 64123, 64123, {64124}};
    return entry;
}

std::string try_in(const Profile& profile, const Entry& entry, const std::function<int()>& fn) {
    return in_child([&] {
        enter(profile, entry);
        return fn();
    });
}

[[maybe_unused]] int open_file(int directory, const char* name, int flags) {
    return outcome(::openat(directory, name, flags | O_CLOEXEC, 0600));
}

const std::vector<const Profile*> kDaemons{
    &profiles::smtpd,   &profiles::login,    &profiles::keeper, &profiles::zygote,
    &profiles::account, &profiles::deliverd, &profiles::queued, &profiles::relayd,
    &profiles::dnsd,    &profiles::authd,    &profiles::keyd,   &profiles::logd};

bool has(const Profile& profile, unsigned bit) {
    return (profile.calls & bit) != 0;
}

} // namespace

TEST_CASE("profiles are found by name, and their filters stay small") {
    for (const Profile* profile : kDaemons) {
        CHECK(find_profile(profile->name) == profile);
        const auto filter = build_filter(*profile);
        CHECK(filter.size() > 50);
        CHECK(filter.size() < 2000); // the kernel takes 4096
    }
    CHECK(find_profile("master") == &profiles::master);
    CHECK_FALSE(find_profile("exim"));
}

TEST_CASE("the process keeps no privilege, no core file and no standard input") {
    Directory dir;
    for (const Profile* profile : kDaemons) {
        INFO(profile->name);
        const auto entry = entry_for(dir);
        const bool is_account = profile->style == Style::account;
        CHECK(try_in(*profile, entry, [is_account] {
                  rlimit core{};
                  if (::getrlimit(RLIMIT_CORE, &core) != 0 || core.rlim_max != 0) return 1;
                  if (::prctl(PR_GET_DUMPABLE) != 0) return 2;
                  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 3;
                  char byte = 0;
                  if (is_account) return 0; // its zygote has done the rest
                  if (::read(STDIN_FILENO, &byte, 1) != 0) return 4;
                  return 0;
              }) == "works");
        if (::geteuid() != 0) continue;
        CHECK(try_in(*profile, entry, [] {
                  gid_t groups[4];
                  if (::getuid() != 64123 || ::getegid() != 64123) return 1;
                  if (::getgroups(4, groups) != 1 || groups[0] != 64124) return 2;
                  return 0;
              }) == "works");
        const auto back = try_in(*profile, entry, [] { return outcome(::setuid(0)); });
        CHECK(back == cat("errno ", EPERM));
    }
}

TEST_CASE("nothing is reachable by name but what was granted") {
    if (landlock_abi() == 0) {
        WARN("not run: this kernel has no Landlock");
        return;
    }
    Directory granted, other;
    for (const Profile* profile : kDaemons) {
        INFO(profile->name);
        CHECK(try_in(*profile, entry_for(granted), [] {
                  return outcome(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
              }) != "works");
        // Not even through a descriptor that was open before.
        CHECK(try_in(*profile, entry_for(granted),
                     [&] { return open_file(other.fd(), "file", O_RDONLY); }) != "works");
        if (!has(*profile, Calls::files)) continue;
        CHECK(try_in(*profile, entry_for(granted), [&] {
                  if (const int e = open_file(granted.fd(), "file", O_RDWR)) return e;
                  if (const int e = open_file(granted.fd(), "new", O_RDWR | O_CREAT)) return e;
                  return outcome(::unlinkat(granted.fd(), "new", 0));
              }) == "works");
        CHECK(try_in(*profile, entry_for(granted, Access::read_only), [&] {
                  return open_file(granted.fd(), "file", O_RDWR);
              }) == cat("errno ", EACCES));
    }
}

TEST_CASE("linking between directories needs refer on both") {
    if (landlock_abi() < 2) {
        WARN("not run: this kernel's Landlock has no REFER");
        return;
    }
    Directory spool, mail;
    const auto link_one = [&] {
        return outcome(::linkat(spool.fd(), "file", mail.fd(), "linked", 0));
    };
    Entry entry = entry_for(spool, Access::read_file | Access::refer);
    entry.identity = {}; // protected_hardlinks asks for the owner
    entry.paths.push_back({mail.fd(), Access::read_file | Access::refer | Access::create});
    CHECK(try_in(profiles::deliverd, entry, link_one) == "works");
    std::filesystem::remove(mail.path() + "/linked");
    entry.paths[1].access = Access::read_file | Access::create;
    CHECK(try_in(profiles::deliverd, entry, link_one) == cat("errno ", EXDEV));
}

TEST_CASE("older kernels: what their Landlock lacks is left out") {
    const int real = landlock_abi();
    Directory granted, other;
    for (const int abi : {0, 1, 2, 3, 4, 5, 6}) {
        if (abi > real) break;
        INFO(abi);
        const auto with_abi = [&](const std::function<int()>& fn) {
            return in_child([&] {
                ::setenv("TAMBO_LANDLOCK_ABI", cat(abi).c_str(), 1);
                const auto isolation = enter(profiles::account, entry_for(granted));
                if (isolation.landlock_abi != abi) return 200;
                return fn();
            });
        };
        CHECK(with_abi([&] { return open_file(granted.fd(), "file", O_RDWR); }) == "works");
        const auto foreign = with_abi([&] { return open_file(other.fd(), "file", O_RDONLY); });
        CHECK(foreign == (abi == 0 ? "works" : cat("errno ", EACCES)));
    }
}

TEST_CASE("without Landlock an account process of a suite started by root is in a chroot") {
    if (::geteuid() != 0) {
        WARN("not run: root");
        return;
    }
    Directory granted;
    CHECK(in_child([&] {
              ::setenv("TAMBO_LANDLOCK_ABI", "0", 1);
              // The zygote changes its user first and keeps CAP_SYS_CHROOT alone.
              const Prepared account(profiles::account);
              Entry zygote = entry_for(granted);
              if (enter(profiles::zygote, zygote).landlock_abi != 0) return 1;
              Entry entry = entry_for(granted);
              entry.identity = {};
              entry.root_fd = granted.fd();
              if (!account.enter(entry).chroot) return 2;
              if (open_file(AT_FDCWD, "/file", O_RDONLY) != 0) return 3;
              return open_file(AT_FDCWD, "/etc/passwd", O_RDONLY) == ENOENT ? 0 : 4;
          }) == "works");
}

TEST_CASE("what is missing is said") {
    Isolation isolation;
    CHECK(isolation.missing() == "no seccomp filter, no Landlock, no user of its own");
    isolation = {true, true, true, 0};
    CHECK(isolation.missing() == "chroot instead of Landlock");
    isolation = {true, true, false, 2};
    CHECK(isolation.missing() == "");
}

TEST_CASE("a file larger than the limit is refused, not a death") {
    Directory dir;
    Entry entry = entry_for(dir);
    entry.file_size_max = 4096;
    CHECK(try_in(profiles::smtpd, entry, [&] { return 0; }) == "works");
    const UniqueFd file(::open((dir.path() + "/file").c_str(), O_WRONLY | O_CLOEXEC));
    CHECK(try_in(profiles::smtpd, entry, [&] {
              std::signal(SIGXFSZ, SIG_IGN); // as Boot does
              const std::string block(8192, 'x');
              if (::write(file.get(), block.data(), block.size()) != 4096) return 1;
              return outcome(::write(file.get(), block.data(), block.size()));
          }) == cat("errno ", EFBIG));
}

#ifndef TAMBO_SANITIZED

namespace {

const std::string kKilled = cat("signal ", SIGSYS);

struct Forbidden {
    const char* name;
    std::function<int()> attempt;
};

// Deadly in every daemon.
const std::vector<Forbidden> kDeadly{
    {"execve", [] { return outcome(::execl("/bin/true", "true", nullptr)); }},
    {"execveat",
     [] { return outcome(::syscall(SYS_execveat, -1, "/bin/true", nullptr, nullptr, 0)); }},
    {"ptrace", [] { return outcome(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }},
    {"process_vm_readv",
     [] { return outcome(::syscall(SYS_process_vm_readv, 1, nullptr, 0, nullptr, 0, 0)); }},
    {"io_uring_setup", [] { return outcome(::syscall(SYS_io_uring_setup, 1, nullptr)); }},
    {"userfaultfd", [] { return outcome(::syscall(SYS_userfaultfd, 0)); }},
    {"bpf", [] { return outcome(::syscall(SYS_bpf, 0, nullptr, 0)); }},
    {"keyctl", [] { return outcome(::syscall(SYS_keyctl, 0, 0, 0, 0, 0)); }},
    {"mount", [] { return outcome(::syscall(SYS_mount, "a", "/", "tmpfs", 0, nullptr)); }},
    {"unshare", [] { return outcome(::unshare(CLONE_NEWUSER)); }},
    {"setns", [] { return outcome(::setns(0, 0)); }},
    {"clone with a new user namespace",
     [] { return outcome(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)); }},
    {"socket AF_UNIX", [] { return outcome(::socket(AF_UNIX, SOCK_STREAM, 0)); }},
    {"socket AF_NETLINK", [] { return outcome(::socket(AF_NETLINK, SOCK_RAW, 0)); }},
    {"socket AF_PACKET", [] { return outcome(::socket(AF_PACKET, SOCK_RAW, 0)); }},
    {"socket of a family far out",
     [] { return outcome(::syscall(SYS_socket, 1000, SOCK_STREAM, 0)); }},
    {"perf_event_open",
     [] { return outcome(::syscall(SYS_perf_event_open, nullptr, 0, 0, 0, 0)); }},
    {"open_by_handle_at", [] { return outcome(::syscall(SYS_open_by_handle_at, 0, nullptr, 0)); }},
};

// Refused in every daemon, with the error.
struct Refused {
    const char* name;
    int error;
    std::function<int()> attempt;
};

const std::vector<Refused> kRefused{
    {"executable memory", EPERM,
     [] {
         return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                        MAP_FAILED
                    ? errno
                    : 0;
     }},
    {"memory made executable", EPERM,
     [] {
         void* page =
             ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
         if (page == MAP_FAILED) return 0;
         return outcome(::mprotect(page, 4096, PROT_READ | PROT_EXEC));
     }},
    {"socketpair of another family", EPERM,
     [] {
         int pair[2];
         return outcome(::syscall(SYS_socketpair, AF_INET, SOCK_STREAM, 0, pair));
     }},
    {"clone3", ENOSYS, [] { return outcome(::syscall(SYS_clone3, nullptr, 0)); }},
    {"shared memory segments", EPERM, [] { return outcome(::syscall(SYS_shmget, 1, 4096, 0)); }},
    {"raising priority", EPERM, [] { return outcome(::setpriority(PRIO_PROCESS, 0, -5)); }},
    {"listening", EPERM, [] { return outcome(::listen(0, 1)); }},
    {"making devices", EPERM,
     [] { return outcome(::mknod("/tmp/tambo-node", S_IFCHR | 0600, 0)); }},
    {"making symbolic links", EPERM, [] { return outcome(::symlink("a", "b")); }},
    {"inotify", EPERM, [] { return outcome(::syscall(SYS_inotify_init1, 0)); }},
    {"memfd", EPERM, [] { return outcome(::syscall(SYS_memfd_create, "a", 0)); }},
};

} // namespace

TEST_CASE("what kills in every daemon") {
    Directory dir;
    for (const Profile* profile : kDaemons) {
        for (const auto& forbidden : kDeadly) {
            INFO(profile->name << ": " << forbidden.name);
            CHECK(try_in(*profile, entry_for(dir), forbidden.attempt) == kKilled);
        }
    }
}

TEST_CASE("what is refused in every daemon") {
    Directory dir;
    for (const Profile* profile : kDaemons) {
        for (const auto& refused : kRefused) {
            INFO(profile->name << ": " << refused.name);
            CHECK(try_in(*profile, entry_for(dir), refused.attempt) ==
                  cat("errno ", refused.error));
        }
    }
}

TEST_CASE("only relayd and dnsd make internet sockets") {
    Directory dir;
    for (const Profile* profile : kDaemons) {
        INFO(profile->name);
        for (const int family : {AF_INET, AF_INET6}) {
            const auto result = try_in(*profile, entry_for(dir), [&] {
                return outcome(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
            });
            CHECK(result == (has(*profile, Calls::inet_sockets) ? "works" : kKilled));
        }
    }
}

TEST_CASE("only the zygote forks, only queued and authd have threads") {
    Directory dir;
    for (const Profile* profile : kDaemons) {
        INFO(profile->name);
        const auto forked = try_in(*profile, entry_for(dir), [] {
            const pid_t child = ::fork();
            if (child == 0) ::_exit(0);
            if (child < 0) return errno;
            return outcome(::waitpid(child, nullptr, 0));
        });
        CHECK(forked == (has(*profile, Calls::fork) ? "works" : cat("errno ", EPERM)));
        const auto threaded = try_in(*profile, entry_for(dir), [] {
            pthread_t thread{};
            const int error = ::pthread_create(
                &thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
            return error != 0 ? error : ::pthread_join(thread, nullptr);
        });
        CHECK(threaded == (has(*profile, Calls::threads) ? "works" : cat("errno ", EPERM)));
    }
}

TEST_CASE("signals to others") {
    Directory dir;
    Entry entry = entry_for(dir);
    entry.identity = {}; // the parent is of this user
    for (const Profile* profile : kDaemons) {
        INFO(profile->name);
        const auto result = try_in(*profile, entry, [] { return outcome(::kill(::getppid(), 0)); });
        const bool may = has(*profile, Calls::signal_others);
        const bool account = profile->style == Style::account;
        CHECK(result == (may ? "works" : account ? kKilled : cat("errno ", EPERM)));
        const auto thread = try_in(*profile, entry, [] {
            return outcome(::syscall(SYS_tgkill, ::getppid(), ::getppid(), 0));
        });
        CHECK((thread == "works") == may);
    }
}

TEST_CASE("a failed check still ends the process as abort does") {
    Directory dir;
    for (const Profile* profile : kDaemons) {
        INFO(profile->name);
        CHECK(try_in(*profile, entry_for(dir), []() -> int { std::abort(); }) ==
              cat("signal ", SIGABRT));
    }
}

TEST_CASE("an account process cannot change what Landlock does not guard") {
    Directory dir;
    const std::string file = dir.path() + "/file";
    const std::vector<Forbidden> deadly{
        {"truncate", [&] { return outcome(::truncate(file.c_str(), 0)); }},
        {"chmod", [&] { return outcome(::chmod(file.c_str(), 0777)); }},
        {"fchmodat", [&] { return outcome(::fchmodat(AT_FDCWD, file.c_str(), 0777, 0)); }},
        {"chown", [&] { return outcome(::chown(file.c_str(), 1, 1)); }},
        {"utimensat", [&] { return outcome(::utimensat(AT_FDCWD, file.c_str(), nullptr, 0)); }},
        {"setxattr",
         [&] { return outcome(::syscall(SYS_setxattr, file.c_str(), "user.a", "b", 1, 0)); }},
    };
    for (const auto& forbidden : deadly) {
        INFO(forbidden.name);
        CHECK(try_in(profiles::account, entry_for(dir), forbidden.attempt) == kKilled);
    }
    CHECK(try_in(profiles::account, entry_for(dir), [&] {
              const UniqueFd fd(::openat(dir.fd(), "file", O_RDWR | O_CLOEXEC));
              if (!fd.valid()) return errno;
              if (::ftruncate(fd.get(), 10) != 0) return errno; // SQLite needs it
              if (::fdatasync(fd.get()) != 0) return errno;
              return outcome(::renameat(dir.fd(), "file", dir.fd(), "renamed"));
          }) == "works");
}

TEST_CASE("the zygote's child enters its own sandbox, with a filter made before") {
    Directory all;
    std::filesystem::create_directory(all.path() + "/a");
    std::filesystem::create_directory(all.path() + "/b");
    std::filesystem::permissions(all.path() + "/a", std::filesystem::perms::all);
    const UniqueFd a(::open((all.path() + "/a").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd b(::open((all.path() + "/b").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const Prepared account(profiles::account);
    const auto in_account = [&](const std::function<int()>& fn) {
        return try_in(profiles::zygote, entry_for(all), [&] {
            const pid_t child = ::fork();
            if (child == 0) {
                Entry entry;
                entry.paths = {{a.get(), Access::read_write}};
                account.enter(entry);
                ::_exit(fn());
            }
            int status = 0;
            if (child < 0 || ::waitpid(child, &status, 0) != child) return 201;
            return WIFSIGNALED(status) ? 100 + WTERMSIG(status) : WEXITSTATUS(status);
        });
    };
    CHECK(in_account([&] { return open_file(a.get(), "index.db", O_RDWR | O_CREAT); }) == "works");
    if (landlock_abi() > 0) {
        CHECK(in_account([&] { return open_file(b.get(), "index.db", O_RDWR | O_CREAT); }) ==
              cat("errno ", EACCES));
    }
    CHECK(in_account([] { return outcome(::kill(::getppid(), SIGTERM)); }) ==
          cat("errno ", 100 + SIGSYS));
    CHECK(in_account([] { return ::fork() < 0 ? errno : 0; }) == cat("errno ", EPERM));
    CHECK(in_account([]() -> int { std::abort(); }) == cat("errno ", 100 + SIGABRT));
}

TEST_CASE("master still starts programs, but none of them escapes") {
    const auto as_master = [](const std::function<int()>& fn) {
        return in_child([&] {
            enter(profiles::master, {});
            return fn();
        });
    };
    CHECK(as_master([] {
              const pid_t child = ::fork();
              if (child == 0) {
                  ::execl("/bin/true", "true", nullptr);
                  ::_exit(99);
              }
              int status = 0;
              if (::waitpid(child, &status, 0) != child) return errno;
              return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
          }) == "works");
    for (const auto& [name, attempt] : kDeadly) {
        const std::string_view which(name);
        if (which.starts_with("exec") || which.starts_with("socket")) continue;
        INFO(name);
        CHECK(as_master(attempt) == kKilled);
    }
    // A daemon that master started enters its own sandbox below master's.
    Directory dir;
    CHECK(as_master([&] {
              enter(profiles::smtpd, entry_for(dir));
              return open_file(dir.fd(), "file", O_RDONLY) == EPERM ? 0 : 1;
          }) == "works");
}

TEST_CASE("outbound connections only to the ports that were granted") {
    if (landlock_abi() < 4) {
        WARN("not run: this kernel's Landlock knows no ports");
        return;
    }
    Directory dir;
    Entry entry = entry_for(dir);
    entry.connect_ports = {1};
    const auto connect_to = [](uint16_t port) {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        unsigned char address[16] = {AF_INET,
                                     0,
                                     static_cast<unsigned char>(port >> 8),
                                     static_cast<unsigned char>(port),
                                     127,
                                     0,
                                     0,
                                     1};
        return outcome(::connect(fd, reinterpret_cast<const sockaddr*>(address), sizeof address));
    };
    CHECK(try_in(profiles::relayd, entry, [&] { return connect_to(1); }) ==
          cat("errno ", ECONNREFUSED));
    CHECK(try_in(profiles::relayd, entry, [&] { return connect_to(2); }) == cat("errno ", EACCES));
}

#endif

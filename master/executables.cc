#include "master/executables.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/sys/error.h"
#include "common/sys/file.h"
#include "master/wiring.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <vector>

extern char** environ;

namespace tambo::master {

namespace {

constexpr int kControlFd = 3;

// What of our environment a daemon sees: switches of tests and of the sanitizers.
constexpr std::array<std::string_view, 6> kPassed{"TAMBO_", "ASAN_", "UBSAN_",
                                                  "LSAN_",  "TSAN_", "LLVM_PROFILE_"};

std::vector<char*> child_environment() {
    std::vector<char*> passed;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        for (const auto prefix : kPassed) {
            if (std::string_view(*entry).starts_with(prefix)) passed.push_back(*entry);
        }
    }
    passed.push_back(nullptr);
    return passed;
}

// Between fork and exec: system calls only.
[[noreturn]] void become(int program, int control, int null, char* const* argv, char* const* envp) {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(null, STDIN_FILENO);
    if (control == kControlFd) {
        ::fcntl(control, F_SETFD, 0);
    } else {
        ::dup2(control, kControlFd);
    }
    ::syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
    ::_exit(127);
}

} // namespace

Executables::Executables(const std::string& directory) : null_(open_or_throw("/dev/null", O_RDWR)) {
    for (const Service& service : services()) {
        if (programs_.contains(service.executable)) continue;
        const std::string path = cat(directory, '/', service.executable);
        programs_.emplace(service.executable, open_or_throw(path, O_RDONLY));
    }
}

pid_t Executables::start(std::string_view program, const std::string& instance, int control) const {
    const auto found = programs_.find(program);
    check(found != programs_.end(), "a program that is not in the wiring table");
    std::string name(program), argument(instance);
    std::array<char*, 3> argv{name.data(), argument.data(), nullptr};
    const auto envp = child_environment();
    // The program's descriptor must not be the one that dup2 will replace.
    UniqueFd moved;
    int executable = found->second.get();
    if (executable == kControlFd) {
        moved.reset(::fcntl(executable, F_DUPFD_CLOEXEC, kControlFd + 1));
        executable = moved.get();
    }
    const pid_t child = ::fork();
    if (child == 0) become(executable, control, null_.get(), argv.data(), envp.data());
    if (child < 0) throw_errno("fork for " + instance);
    return child;
}

std::string own_directory() {
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    if (error) throw_error(error.value(), "read /proc/self/exe");
    return self.parent_path();
}

} // namespace tambo::master

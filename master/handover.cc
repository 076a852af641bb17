#include "master/handover.h"

#include "common/base/text.h"
#include "common/sys/error.h"
#include "common/sys/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string_view>

extern char** environ;

namespace tambo::master {

namespace {

// One line for each descriptor: "lock 4", "socket 7 smtp - 127.0.0.1:25".
constexpr const char* kVariable = "TAMBO_HANDOVER";
constexpr std::string_view kNobody = "-";
constexpr int kNotExecuted = 127;
constexpr size_t kOutputMax = 1 << 20;

bool listens(int fd) {
    int on = 0;
    socklen_t size = sizeof on;
    return ::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on != 0;
}

UniqueFd owned(int fd) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    return UniqueFd(fd);
}

void take_line(Inherited& inherited, std::string_view line) {
    const auto words = split(line, ' ');
    const auto number = words.size() < 2 ? std::nullopt : parse_uint(words[1], INT_MAX);
    const int fd = number ? static_cast<int>(*number) : -1;
    if (fd <= STDERR_FILENO || ::fcntl(fd, F_GETFD) < 0) return;
    if (words[0] == "lock" && words.size() == 2) {
        inherited.lock = owned(fd);
    } else if (words[0] == "socket" && words.size() == 5 && listens(fd)) {
        std::string owner(words[3] == kNobody ? "" : words[3]);
        inherited.sockets.push_back(
            {std::string(words[2]), std::move(owner), std::string(words[4]), 0, owned(fd)});
    }
}

int surviving_copy(int fd) {
    const int copy = ::fcntl(fd, F_DUPFD, STDERR_FILENO + 1); // without FD_CLOEXEC
    if (copy < 0) throw_errno("dup for the next master");
    return copy;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> list;
    for (const auto& word : words)
        list.push_back(const_cast<char*>(word.c_str())); // execve(2) does not write
    list.push_back(nullptr);
    return list;
}

} // namespace

Inherited Inherited::from_environment() {
    Inherited inherited;
    const char* value = std::getenv(kVariable);
    if (value == nullptr) return inherited;
    for (const auto line : split(value, '\n'))
        take_line(inherited, line);
    ::unsetenv(kVariable);
    return inherited;
}

std::string handed_over(int lock, const std::vector<Listeners::Socket>& sockets) {
    std::string value = cat("lock ", surviving_copy(lock));
    for (const auto& socket : sockets) {
        if (!socket.fd.valid()) continue;
        value += cat("\nsocket ", surviving_copy(socket.fd.get()), ' ', socket.name, ' ',
                     socket.owner.empty() ? kNobody : std::string_view(socket.owner), ' ',
                     socket.address);
    }
    return value;
}

std::vector<std::string> command_line(const std::string& program, const Options& options) {
    std::vector<std::string> command{program, "--config", options.config_file};
    for (const auto& setting : options.settings)
        command.insert(command.end(), {"--set", setting});
    if (!options.libexec.empty()) command.insert(command.end(), {"--libexec", options.libexec});
    if (options.foreground) command.emplace_back("--foreground");
    return command;
}

Trial start_trial(const std::vector<std::string>& command) {
    std::vector<std::string> words = command;
    words.emplace_back("--check");
    const auto argv = pointers(words);
    Trial trial;
    trial.output.reset(::memfd_create("trial", MFD_CLOEXEC));
    if (!trial.output.valid()) throw_errno("memfd_create");
    const UniqueFd null = open_or_throw("/dev/null", O_RDONLY);
    trial.pid = ::fork();
    if (trial.pid < 0) throw_errno("fork");
    if (trial.pid > 0) return trial;
    // Between fork and exec: system calls only.
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(null.get(), STDIN_FILENO);
    ::dup2(trial.output.get(), STDOUT_FILENO);
    ::dup2(trial.output.get(), STDERR_FILENO);
    ::execve(argv[0], argv.data(), environ);
    ::_exit(kNotExecuted);
}

std::string Trial::report(const std::string& program, int status) const {
    std::string text = read_whole(output.get(), kOutputMax, "output of the trial");
    if (WIFEXITED(status) && WEXITSTATUS(status) == kNotExecuted) {
        text += cat(program, " cannot be executed\n");
    } else if (WIFSIGNALED(status)) {
        text += cat(program, " was ended by signal ", WTERMSIG(status), '\n');
    }
    return text;
}

int replace_process(const std::vector<std::string>& command, const std::string& handed_over) {
    const auto argv = pointers(command);
    ::setenv(kVariable, handed_over.c_str(), 1);
    ::execve(argv[0], argv.data(), environ);
    return errno;
}

} // namespace tambo::master

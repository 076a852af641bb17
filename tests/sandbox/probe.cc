// Linked into the daemons of tests/sandbox in front of sandbox::enter() (ld --wrap): where a daemon
// enters its sandbox, each operation is tried first, in a child that enters the same sandbox. Then
// the daemon goes on. With mode "open" nobody enters anything, master neither: what is refused in
// the sandbox must be possible without it, or the list proves nothing.
#include "common/sys/sandbox.h"
#include "tests/sandbox/operations.h"

#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>

namespace tambo::probe {

namespace {

const Targets& targets() {
    static const Targets read = [] {
        char self[PATH_MAX]{};
        if (::readlink("/proc/self/exe", self, sizeof self - 1) < 0) std::abort();
        std::string path(self);
        std::ifstream file(path.substr(0, path.rfind('/') + 1) + "probe.conf");
        Targets t;
        file >> t.mode >> t.state >> t.other_index >> t.key >> t.config >> t.scratch >> t.port;
        if (!file) std::abort();
        return t;
    }();
    return read;
}

// Read while /proc and the file can be reached: a process that is forked later inherits it.
[[gnu::constructor]] void read_targets() {
    targets();
}

void report(const char* profile, const char* operation, const std::string& outcome) {
    char line[256];
    const int size =
        std::snprintf(line, sizeof line, "probe %s/%s %s %s\n", program_invocation_short_name,
                      profile, operation, outcome.c_str());
    static_cast<void>(!::write(STDERR_FILENO, line, static_cast<size_t>(size)));
}

void try_all(const char* profile, const std::function<void()>& enter) {
    const auto before = std::signal(SIGCHLD, SIG_DFL);
    for (const Operation& operation : operations()) {
        const pid_t child = ::fork();
        if (child < 0) std::abort();
        if (child == 0) {
            if (operation.prepare != nullptr) operation.prepare(targets());
            if (targets().mode != "open") enter();
            ::_exit(operation.attempt(targets()) & 0xff);
        }
        int status = 0;
        if (::waitpid(child, &status, 0) != child) std::abort();
        std::string outcome = "possible";
        if (WIFSIGNALED(status)) {
            outcome = "killed";
        } else if (WEXITSTATUS(status) != 0) {
            outcome = std::string("refused ") + ::strerrorname_np(WEXITSTATUS(status));
        }
        report(profile, operation.name, outcome);
    }
    report(profile, "end", "-");
    std::signal(SIGCHLD, before);
}

} // namespace

// ---- in place of what the daemons call

using sandbox::Entry;
using sandbox::Isolation;
using sandbox::Prepared;
using sandbox::Profile;

Isolation
real_enter(const Profile&,
           const Entry&) asm("__real__ZN5tambo7sandbox5enterERKNS0_7ProfileERKNS0_5EntryE");
Isolation real_prepared(const Prepared*,
                        const Entry&) asm("__real__ZNK5tambo7sandbox8Prepared5enterERKNS0_5EntryE");
Isolation
wrapped_enter(const Profile&,
              const Entry&) asm("__wrap__ZN5tambo7sandbox5enterERKNS0_7ProfileERKNS0_5EntryE");
Isolation
wrapped_prepared(const Prepared*,
                 const Entry&) asm("__wrap__ZNK5tambo7sandbox8Prepared5enterERKNS0_5EntryE");

Isolation wrapped_enter(const Profile& profile, const Entry& entry) {
    const bool is_open = targets().mode == "open";
    if (profile.style != sandbox::Style::deny_list) {
        try_all(std::string(profile.name).c_str(), [&] { real_enter(profile, entry); });
    }
    return is_open ? Isolation{} : real_enter(profile, entry);
}

Isolation wrapped_prepared(const Prepared* prepared, const Entry& entry) {
    try_all("account", [&] { real_prepared(prepared, entry); });
    return targets().mode == "open" ? Isolation{} : real_prepared(prepared, entry);
}

} // namespace tambo::probe

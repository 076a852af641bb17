#include "cli/offline.h"

#include "cli/context.h"
#include "common/base/text.h"
#include "common/conf/parts.h"
#include "common/ipc/admin.h"
#include "common/ipc/codec.h"
#include "common/ipc/frame.h"
#include "common/ipc/messages/control.h"
#include "common/sys/error.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"

#include <fcntl.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tambo::cli {

namespace {

constexpr const char* kAuthUser = "_tambo-auth";

// The same lock that master takes: one user of the directory at a time.
UniqueFd take_lock(const std::string& directory) {
    const std::string path = directory + "/lock";
    UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!lock.valid()) throw Failure{EX_NOPERM, cat("cannot open ", path, ": ", error_text(errno))};
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        throw Failure{EX_TEMPFAIL, "the suite is just starting or stopping; try again"};
    }
    return lock;
}

template <class M>
void send_message(int socket, const M& message) {
    ipc::Writer writer;
    writer(message);
    const ipc::FrameHeader header{M::kType, ipc::FrameHeader::oneway,
                                  static_cast<uint32_t>(writer.bytes().size()), 0};
    send_datagram(socket, ipc::encode_header(header), writer.bytes(), writer.fds());
}

UniqueFd listen_at(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw_error(ENAMETOOLONG, path);
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    if (::bind(socket.get(), raw, sizeof address) != 0) throw_errno("bind " + path);
    ::chmod(path.c_str(), 0600);
    if (::listen(socket.get(), 4) != 0) throw_errno("listen " + path);
    return socket;
}

UniqueFd open_accounts(const conf::Config& config, ipc::Start& start) {
    const std::string path = config.directory + "/accounts";
    ::mkdir(config.directory.c_str(), 0755);
    ::mkdir(path.c_str(), 0700);
    const passwd* user = ::geteuid() == 0 ? ::getpwnam(kAuthUser) : nullptr;
    if (user != nullptr) {
        start.change_user = true;
        start.uid = user->pw_uid;
        start.gid = user->pw_gid;
        if (::chown(path.c_str(), user->pw_uid, user->pw_gid) != 0) throw_errno("chown " + path);
    }
    return open_or_throw(path, O_RDONLY | O_DIRECTORY);
}

// Runs the executable with the socket as its descriptor 3.
pid_t run_daemon(const std::string& executable, int control) {
    const pid_t child = ::fork();
    if (child < 0) throw_errno("fork");
    if (child > 0) return child;
    if (control == 3) {
        ::fcntl(3, F_SETFD, 0);
    } else {
        ::dup2(control, 3);
    }
    ::execl(executable.c_str(), executable.c_str(), nullptr);
    ::_exit(127);
}

} // namespace

bool can_run_offline(const std::string& daemon) {
    return daemon == "authd";
}

ipc::AdminAnswer
ask_offline(const conf::Config& config, const std::string& daemon, ipc::AdminRequest request) {
    try {
        ipc::Start start;
        start.instance = daemon;
        start.directory = config.directory;
        const UniqueFd accounts = open_accounts(config, start);
        const UniqueFd lock = take_lock(config.directory);
        const std::string socket_path = cat(config.directory, "/offline-", ::getpid(), ".sock");
        UniqueFd listener = listen_at(socket_path);
        auto [mine, theirs] = socket_pair(SOCK_SEQPACKET);
        const pid_t child = run_daemon(daemon_path(daemon), theirs.get());
        theirs.reset();
        send_message(mine.get(), ipc::Configure{1, ipc::encode(conf::make_authd_config(config))});
        send_message(mine.get(), ipc::OpenFile{"accounts", UniqueFd(::dup(accounts.get()))});
        send_message(mine.get(), ipc::ListenSocket{"control", std::move(listener)});
        send_message(mine.get(), start);
        auto answer = ipc::ask_daemon(socket_path, std::move(request));
        ::unlink(socket_path.c_str());
        mine.reset(); // the daemon ends with its control channel
        int status = 0;
        ::waitpid(child, &status, 0);
        if (answer) return std::move(*answer);
        throw Failure{EX_SOFTWARE, cat(daemon_path(daemon), " did not answer")};
    } catch (const std::system_error& error) {
        throw Failure{EX_NOPERM, error.what()};
    }
}

} // namespace tambo::cli

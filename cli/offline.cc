#include "cli/offline.h"

#include "cli/context.h"
#include "common/base/check.h"
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

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace tambo::cli {

namespace {

// What can be asked without the suite: what is in the files of one daemon alone.
struct Alone {
    std::string_view daemon, executable, user;
    std::string_view file; // the word under which it is given its directory (master/wiring.cc)
    std::string (*directory)(const conf::Config& config);
    std::string (*part)(const conf::Config& config);
};

std::string log_directory(const conf::Config& config) {
    const std::string& target = config.log.target;
    return target.starts_with('/') ? target.substr(0, target.rfind('/') + 1)
                                   : config.directory + "/log";
}

constexpr std::array kAlone{
    Alone{"authd", "authd", "_tambo-auth", "accounts",
          [](const conf::Config& c) { return c.directory + "/accounts"; },
          [](const conf::Config& c) { return ipc::encode(conf::make_authd_config(c)); }},
    Alone{"queued", "queued", "_tambo-store", "spool",
          [](const conf::Config& c) { return c.directory + "/spool"; },
          [](const conf::Config& c) { return ipc::encode(conf::make_queued_config(c)); }},
    Alone{"keeper", "mailboxd", "_tambo-mail", "mail",
          [](const conf::Config& c) { return c.directory + "/mail"; },
          [](const conf::Config& c) { return ipc::encode(conf::make_mailboxd_config(c)); }},
    Alone{"logd", "logd", "_tambo-log", "directory", log_directory,
          [](const conf::Config& c) { return ipc::encode(conf::make_logd_config(c, false)); }},
};

const Alone* find_alone(const std::string& daemon) {
    const auto* found = std::ranges::find(kAlone, daemon, &Alone::daemon);
    return found == kAlone.end() ? nullptr : found;
}

// The number under which the next start will open the accounts (master/epoch.h).
uint32_t next_epoch(const std::string& directory) {
    const std::string content = read_file(directory + "/epoch", 64);
    const auto [digits, state] = split_once(std::string_view(content), ' ');
    const auto number = parse_uint(digits, UINT32_MAX - 1);
    if (!number) throw Failure{EX_DATAERR, cat(directory, "/epoch is damaged")};
    return static_cast<uint32_t>(*number) + (state == "clean\n" ? 0 : 1);
}

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

// The host's own names, as far as they can be read.
void send_names(int socket, const conf::Config& config) {
    const std::pair<const char*, const std::string&> files[] = {
        {"aliases", config.accounts.aliases_file}, {"passwd", config.accounts.passwd_file}};
    for (const auto& [name, path] : files) {
        UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        if (file.valid()) send_message(socket, ipc::OpenFile{name, std::move(file)});
    }
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

UniqueFd open_directory(const conf::Config& config, const Alone& alone, ipc::Start& start) {
    const std::string path = alone.directory(config);
    const passwd* user = ::geteuid() == 0 ? ::getpwnam(std::string(alone.user).c_str()) : nullptr;
    if (user != nullptr) {
        start.change_user = true;
        start.uid = user->pw_uid;
        start.gid = user->pw_gid;
    }
    if (alone.daemon == "authd") { // quickstart comes before the first start
        ::mkdir(config.directory.c_str(), 0755);
        ::mkdir(path.c_str(), 0700);
        if (user != nullptr && ::chown(path.c_str(), start.uid, start.gid) != 0) {
            throw_errno("chown " + path);
        }
    } else {
        start.epoch = next_epoch(config.directory);
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

bool can_run_offline(const conf::Config& config, const std::string& daemon) {
    // Before the first start there is no queue.
    if (daemon == "queued") return ::access((config.directory + "/spool").c_str(), F_OK) == 0;
    if (daemon != "logd") return find_alone(daemon) != nullptr;
    // Events of the journal are not ours to search.
    const std::string file = conf::make_logd_config(config, false).file;
    return ::access(cat(log_directory(config), '/', file).c_str(), F_OK) == 0;
}

ipc::AdminAnswer
ask_offline(const conf::Config& config, const std::string& daemon, ipc::AdminRequest request) {
    const Alone* alone = find_alone(daemon);
    check(alone != nullptr, "this daemon cannot be asked alone");
    try {
        ipc::Start start;
        start.instance = daemon;
        start.directory = config.directory;
        const UniqueFd directory = open_directory(config, *alone, start);
        const UniqueFd lock = take_lock(config.directory);
        const std::string executable = daemon_path(std::string(alone->executable));
        const std::string socket_path = cat(config.directory, "/offline-", ::getpid(), ".sock");
        UniqueFd listener = listen_at(socket_path);
        auto [mine, theirs] = socket_pair(SOCK_SEQPACKET);
        const pid_t child = run_daemon(executable, theirs.get());
        theirs.reset();
        send_message(mine.get(), ipc::Configure{1, alone->part(config)});
        send_message(mine.get(),
                     ipc::OpenFile{std::string(alone->file), UniqueFd(::dup(directory.get()))});
        if (daemon == "authd") send_names(mine.get(), config);
        send_message(mine.get(), ipc::ListenSocket{"control", std::move(listener)});
        send_message(mine.get(), start);
        auto answer = ipc::ask_daemon(socket_path, std::move(request));
        ::unlink(socket_path.c_str());
        mine.reset(); // the daemon ends with its control channel
        int status = 0;
        ::waitpid(child, &status, 0);
        if (answer) return std::move(*answer);
        throw Failure{EX_SOFTWARE, cat(executable, " did not answer")};
    } catch (const std::system_error& error) {
        throw Failure{EX_NOPERM, error.what()};
    }
}

} // namespace tambo::cli

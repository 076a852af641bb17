#include "master/notify.h"

#include "common/base/text.h"
#include "common/event/loop.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace tambo::master {

Notifier Notifier::from_environment() {
    Notifier notifier;
    const char* path = std::getenv("NOTIFY_SOCKET");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const size_t length = path ? std::strlen(path) : 0;
    if (length < 2 || length >= sizeof address.sun_path || (*path != '/' && *path != '@')) {
        return notifier;
    }
    std::memcpy(address.sun_path, path, length);
    if (*path == '@') address.sun_path[0] = '\0'; // an abstract address
    UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    if (socket.valid() &&
        ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), size) == 0) {
        notifier.socket_ = std::move(socket);
    }
    const char* interval = std::getenv("WATCHDOG_USEC");
    const char* whose = std::getenv("WATCHDOG_PID");
    const bool ours = !whose || parse_uint(whose) == static_cast<uint64_t>(::getpid());
    const auto microseconds = interval ? parse_uint(interval, INT64_MAX) : std::nullopt;
    if (ours && microseconds && *microseconds > 0) {
        notifier.watchdog_interval_ms_ = static_cast<int64_t>(*microseconds / 2000) + 1;
    }
    return notifier;
}

void Notifier::send(const std::string& message) const {
    if (!socket_.valid()) return;
    // A supervisor that does not read must not stop us.
    static_cast<void>(
        ::send(socket_.get(), message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
}

void Notifier::ready(std::string_view text) const {
    send(cat("READY=1\nSTATUS=", text, '\n'));
}

void Notifier::reloading() const {
    send(cat("RELOADING=1\nMONOTONIC_USEC=", Loop::monotonic_ms() * 1000, '\n'));
}

void Notifier::stopping() const {
    send("STOPPING=1\n");
}
void Notifier::status(std::string_view text) const {
    send(cat("STATUS=", text, '\n'));
}
void Notifier::watchdog() const {
    send("WATCHDOG=1\n");
}

} // namespace tambo::master

#include "master/listeners.h"

#include "common/base/text.h"
#include "common/conf/schema.h"
#include "common/conf/value.h"
#include "common/sys/error.h"
#include "master/wiring.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <variant>

namespace tambo::master {

namespace {

constexpr int kBacklog = 1024;

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;

    static SocketAddress of(const conf::Endpoint& endpoint) {
        SocketAddress address;
        auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
        auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
        if (endpoint.address.find(':') != std::string::npos) {
            v6->sin6_family = AF_INET6;
            v6->sin6_port = htons(endpoint.port);
            ::inet_pton(AF_INET6, endpoint.address.c_str(), &v6->sin6_addr);
            address.length = sizeof *v6;
        } else {
            v4->sin_family = AF_INET;
            v4->sin_port = htons(endpoint.port);
            ::inet_pton(AF_INET, endpoint.address.c_str(), &v4->sin_addr);
            address.length = sizeof *v4;
        }
        return address;
    }
    const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

uint16_t bound_port(int fd) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return 0;
    const uint16_t port = storage.ss_family == AF_INET6
                              ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port
                              : reinterpret_cast<sockaddr_in*>(&storage)->sin_port;
    return ntohs(port);
}

// A listening TCP socket, or the error number.
struct Bound {
    UniqueFd fd;
    int error = 0;
};

Bound bind_one(const conf::Endpoint& endpoint) {
    const auto address = SocketAddress::of(endpoint);
    UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) return {UniqueFd(), errno};
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.storage.ss_family == AF_INET6) {
        ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (::bind(fd.get(), address.raw(), address.length) != 0) return {UniqueFd(), errno};
    if (::listen(fd.get(), kBacklog) != 0) return {UniqueFd(), errno};
    return {std::move(fd), 0};
}

std::string explain(std::string_view key, const conf::Endpoint& endpoint, int error) {
    std::string out =
        cat(key, ": cannot listen on ", conf::format_endpoint(endpoint), ": ", error_text(error));
    if (error == EADDRINUSE)
        out += cat(" (another mail server? ss -ltnp 'sport = :", endpoint.port, "' shows it)");
    if (error == EACCES) out += " (ports below 1024 need root)";
    if (error == EADDRNOTAVAIL) out += " (this machine does not have that address)";
    return out;
}

bool lacks_ipv6(int error) {
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

// Binds through a descriptor of the directory: the path may be longer than a sockaddr_un.
UniqueFd bind_unix(int directory, const std::string& name, int type, mode_t mode, gid_t group) {
    ::unlinkat(directory, name.c_str(), 0); // ours: we hold the lock of the directory
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = cat("/proc/self/fd/", directory, '/', name);
    if (path.size() >= sizeof address.sun_path) throw_error(ENAMETOOLONG, "bind " + name);
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) throw_errno("socket for " + name);
    const mode_t before = ::umask(0777 & ~mode);
    const int bound = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    const int error = errno;
    ::umask(before);
    if (bound != 0) throw_error(error, "bind " + name);
    if (::fchownat(directory, name.c_str(), static_cast<uid_t>(-1), group, AT_SYMLINK_NOFOLLOW) !=
        0) {
        throw_errno("chown " + name);
    }
    if (::listen(fd.get(), kBacklog) != 0) throw_errno("listen " + name);
    return fd;
}

} // namespace

std::vector<std::string> Listeners::bind_ports(const conf::Config& config) {
    std::vector<std::string> problems;
    conf::Config copy = config; // slot() wants a mutable one
    for (const conf::Key& key : conf::keys()) {
        if (!key.name.starts_with("listen.")) continue;
        const std::string name(key.name.substr(7));
        for (conf::Endpoint endpoint : *std::get<std::vector<conf::Endpoint>*>(key.slot(copy))) {
            const bool any = endpoint.address.empty();
            for (const char* address : {"0.0.0.0", "::"}) {
                if (any) endpoint.address = address;
                Bound bound = bind_one(endpoint);
                const bool optional = any && endpoint.address == "::" && lacks_ipv6(bound.error);
                if (!bound.fd.valid() && !optional) {
                    problems.push_back(explain(key.name, endpoint, bound.error));
                } else if (bound.fd.valid()) {
                    endpoint.port = bound_port(bound.fd.get()); // 0: the same for both families
                    sockets_.push_back({name, "", conf::format_endpoint(endpoint), endpoint.port,
                                        std::move(bound.fd)});
                }
                if (!any) break;
            }
        }
    }
    return problems;
}

void Listeners::bind_local(const Directories& directories, const Users& users) {
    const gid_t admins = users.gid("tambo-admin");
    const auto control = [&](std::string_view owner) {
        const std::string name = cat(owner, ".sock");
        sockets_.push_back(
            {"control", std::string(owner), "control/" + name, 0,
             bind_unix(directories.get("control"), name, SOCK_SEQPACKET, 0660, admins)});
    };
    control("master");
    for (const Service& service : services()) {
        for (const auto word : words(service.listeners)) {
            if (word == "control") control(service.name);
        }
    }
    sockets_.push_back(
        {"submit", "", "submit.sock", 0,
         bind_unix(directories.top(), "submit.sock", SOCK_STREAM, 0666, users.gid("root"))});
}

std::vector<const Listeners::Socket*> Listeners::of(std::string_view service,
                                                    std::string_view listeners) const {
    std::vector<const Socket*> found;
    for (const auto word : words(listeners)) {
        for (const Socket& socket : sockets_) {
            const bool its_own = socket.owner.empty() || socket.owner == service;
            if (socket.name == word && its_own) found.push_back(&socket);
        }
    }
    return found;
}

UniqueFd Listeners::take_own_control() {
    for (Socket& socket : sockets_) {
        if (socket.owner == "master") return std::move(socket.fd);
    }
    return UniqueFd();
}

} // namespace tambo::master

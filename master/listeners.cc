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

#include <algorithm>
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

// One socket that the configuration asks for. An endpoint without an address is two of them.
struct Wanted {
    std::string_view key;
    conf::Endpoint endpoint;
    bool second = false; // "::" beside "0.0.0.0": may be missing, and has its port
    Bound bound = {};

    std::string name() const { return std::string(key.substr(7)); } // behind "listen."
};

std::vector<Wanted> wanted_ports(const conf::Config& config) {
    std::vector<Wanted> wanted;
    conf::Config copy = config; // slot() wants a mutable one
    for (const conf::Key& key : conf::keys()) {
        if (!key.name.starts_with("listen.")) continue;
        for (conf::Endpoint endpoint : *std::get<std::vector<conf::Endpoint>*>(key.slot(copy))) {
            const bool any = endpoint.address.empty();
            if (any) endpoint.address = "0.0.0.0";
            wanted.push_back({key.name, endpoint});
            if (any) wanted.push_back({key.name, {"::", endpoint.port}, true});
        }
    }
    return wanted;
}

// The port 0 stands for any.
bool same_address(std::string_view has, std::string_view wanted) {
    if (has == wanted) return true;
    return wanted.ends_with(":0") && has.starts_with(wanted.substr(0, wanted.size() - 1));
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
    std::vector<Wanted> wanted = wanted_ports(config);
    for (Wanted& one : wanted)
        one.bound.fd = take_inherited(one.name(), "", conf::format_endpoint(one.endpoint));
    // What nobody wants any more must not hinder what has come in its place.
    std::erase_if(inherited_, [](const Socket& socket) { return !socket.is_local(); });
    std::vector<std::string> problems;
    uint16_t port_before = 0;
    for (Wanted& one : wanted) {
        if (one.second && one.endpoint.port == 0) one.endpoint.port = port_before;
        if (!one.bound.fd.valid()) one.bound = bind_one(one.endpoint);
        if (one.bound.fd.valid()) {
            port_before = one.endpoint.port = bound_port(one.bound.fd.get());
            sockets_.push_back({one.name(), "", conf::format_endpoint(one.endpoint), port_before,
                                std::move(one.bound.fd)});
        } else if (!one.second || !lacks_ipv6(one.bound.error)) {
            problems.push_back(explain(one.key, one.endpoint, one.bound.error));
        }
    }
    return problems;
}

UniqueFd
Listeners::take_inherited(std::string_view name, std::string_view owner, std::string_view address) {
    const auto found = std::ranges::find_if(inherited_, [&](const Socket& socket) {
        return socket.name == name && socket.owner == owner &&
               same_address(socket.address, address);
    });
    if (found == inherited_.end()) return UniqueFd();
    UniqueFd fd = std::move(found->fd);
    inherited_.erase(found);
    return fd;
}

void Listeners::bind_local(const Directories& directories, const Users& users) {
    const gid_t admins = users.gid("tambo-admin");
    const auto control = [&](std::string_view owner) {
        const std::string name = cat(owner, ".sock");
        UniqueFd fd = take_inherited("control", owner, "control/" + name);
        if (!fd.valid()) {
            fd = bind_unix(directories.get("control"), name, SOCK_SEQPACKET, 0660, admins);
        }
        sockets_.push_back({"control", std::string(owner), "control/" + name, 0, std::move(fd)});
    };
    control("master");
    for (const Service& service : services()) {
        for (const auto word : words(service.listeners)) {
            if (word == "control") control(service.name);
        }
    }
    UniqueFd submit = take_inherited("submit", "", "submit.sock");
    if (!submit.valid()) {
        submit = bind_unix(directories.top(), "submit.sock", SOCK_STREAM, 0666, users.gid("root"));
    }
    sockets_.push_back({"submit", "", "submit.sock", 0, std::move(submit)});
    inherited_.clear();
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

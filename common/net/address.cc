#include "common/net/address.h"

#include "common/base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <tuple>

namespace tambo::net {

namespace {
constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
}

std::optional<SocketAddress> SocketAddress::parse(std::string_view ip, uint16_t port) {
    SocketAddress address;
    const std::string text(ip);
    address.port_ = port;
    if (::inet_pton(AF_INET, text.c_str(), address.bytes_) == 1) {
        address.family_ = AF_INET;
        return address;
    }
    if (::inet_pton(AF_INET6, text.c_str(), address.bytes_) != 1) return std::nullopt;
    address.family_ = AF_INET6;
    if (std::memcmp(address.bytes_, kMapped, sizeof kMapped) == 0) {
        std::memmove(address.bytes_, address.bytes_ + 12, 4);
        address.family_ = AF_INET;
    }
    return address;
}

std::optional<SocketAddress> SocketAddress::parse_host_port(std::string_view text,
                                                            uint16_t default_port) {
    if (auto plain = parse(text, default_port)) return plain;
    std::string_view ip, port_text;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return std::nullopt;
        ip = text.substr(1, close - 1);
        const auto rest = text.substr(close + 1);
        if (rest.empty()) return parse(ip, default_port);
        if (rest[0] != ':') return std::nullopt;
        port_text = rest.substr(1);
    } else {
        std::tie(ip, port_text) = split_once(text, ':');
    }
    const auto port = parse_uint(port_text, 65535);
    if (!port) return std::nullopt;
    return parse(ip, static_cast<uint16_t>(*port));
}

SocketAddress SocketAddress::from_sockaddr(const sockaddr* raw) {
    SocketAddress address;
    if (raw->sa_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, raw, sizeof in);
        address.family_ = AF_INET;
        std::memcpy(address.bytes_, &in.sin_addr, 4);
        address.port_ = ntohs(in.sin_port);
    } else if (raw->sa_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, raw, sizeof in);
        address.family_ = AF_INET6;
        std::memcpy(address.bytes_, &in.sin6_addr, 16);
        address.port_ = ntohs(in.sin6_port);
        if (std::memcmp(address.bytes_, kMapped, sizeof kMapped) == 0) {
            std::memmove(address.bytes_, address.bytes_ + 12, 4);
            address.family_ = AF_INET;
        }
    }
    return address;
}

SocketAddress SocketAddress::peer_of(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    auto* raw = reinterpret_cast<sockaddr*>(&storage);
    if (::getpeername(fd, raw, &size) != 0) return {};
    return from_sockaddr(raw);
}

SocketAddress SocketAddress::local_of(int fd) {
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    auto* raw = reinterpret_cast<sockaddr*>(&storage);
    if (::getsockname(fd, raw, &size) != 0) return {};
    return from_sockaddr(raw);
}

bool SocketAddress::is_v6() const { return family_ == AF_INET6; }

bool SocketAddress::is_loopback() const {
    if (family_ == 0) return true;
    if (family_ == AF_INET) return bytes_[0] == 127;
    return IN6_IS_ADDR_LOOPBACK(reinterpret_cast<const in6_addr*>(bytes_));
}

std::string SocketAddress::ip() const {
    if (family_ == 0) return "local";
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(family_, bytes_, text, sizeof text);
    return text;
}

std::string SocketAddress::text() const {
    if (family_ == 0) return "local";
    return is_v6() ? cat('[', ip(), "]:", port_) : cat(ip(), ':', port_);
}

std::string SocketAddress::network() const {
    if (!is_v6()) return ip();
    SocketAddress prefix = *this;
    std::memset(prefix.bytes_ + 8, 0, 8);
    return cat(prefix.ip(), "/64");
}

std::string SocketAddress::literal() const {
    return is_v6() ? cat("[IPv6:", ip(), ']') : cat('[', ip(), ']');
}

unsigned SocketAddress::to_sockaddr(void* storage) const {
    if (family_ == AF_INET) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port_);
        std::memcpy(&in.sin_addr, bytes_, 4);
        std::memcpy(storage, &in, sizeof in);
        return sizeof in;
    }
    if (family_ == AF_INET6) {
        sockaddr_in6 in{};
        in.sin6_family = AF_INET6;
        in.sin6_port = htons(port_);
        std::memcpy(&in.sin6_addr, bytes_, 16);
        std::memcpy(storage, &in, sizeof in);
        return sizeof in;
    }
    return 0;
}

} // namespace tambo::net

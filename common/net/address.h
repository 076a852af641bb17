// Socket addresses as values: IPv4 and IPv6 with a port, or a Unix peer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sockaddr;

namespace tambo::net {

class SocketAddress {
  public:
    SocketAddress() = default; // a Unix peer: no ip, port 0
    // "192.0.2.1" or "2001:db8::1" (no brackets, no scope). nullopt if it is neither.
    static std::optional<SocketAddress> parse(std::string_view ip, uint16_t port);
    // "192.0.2.1:25", "[2001:db8::1]:25"; without a port default_port.
    static std::optional<SocketAddress> parse_host_port(std::string_view text,
                                                        uint16_t default_port);
    static SocketAddress from_sockaddr(const sockaddr* address);
    // Of the socket's far and near end; a default SocketAddress for Unix sockets.
    static SocketAddress peer_of(int fd);
    static SocketAddress local_of(int fd);

    bool is_ip() const { return family_ != 0; }
    bool is_v6() const;
    bool is_loopback() const; // 127/8, ::1, v4-mapped loopback, and Unix peers
    uint16_t port() const { return port_; }
    // Canonical text without port; v4-mapped IPv6 as IPv4; "local" for Unix peers.
    std::string ip() const;
    // "192.0.2.1:25", "[2001:db8::1]:25", "local".
    std::string text() const;
    // The /32 or /64 that limits count: "192.0.2.1", "2001:db8:0:1::/64".
    std::string network() const;
    // As an SMTP address literal: "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 4.1.3).
    std::string literal() const;

    // Fills a sockaddr_storage-sized buffer; returns its length, 0 for a Unix peer.
    unsigned to_sockaddr(void* storage) const;

  private:
    int family_ = 0;
    unsigned char bytes_[16] = {};
    uint16_t port_ = 0;
};

} // namespace tambo::net

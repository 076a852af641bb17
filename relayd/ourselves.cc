// See ourselves.h.
#include "relayd/ourselves.h"

#include "common/base/text.h"
#include "common/base/unique_fd.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

namespace tambo::relayd {

namespace {

constexpr uint16_t kSmtpPort = 25;

bool is_unspecified(const net::SocketAddress& address) {
    return address.ip() == "0.0.0.0" || address.ip() == "::";
}

// A local address is its own source. Nothing is sent.
bool is_own_source(const net::SocketAddress& address) {
    const UniqueFd socket(
        ::socket(address.is_v6() ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage storage{};
    const socklen_t size = address.to_sockaddr(&storage);
    if (!socket || ::connect(socket.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) {
        return false;
    }
    return net::SocketAddress::local_of(socket.get()).ip() == address.ip();
}

} // namespace

bool ConfiguredOurselves::is_local(const net::SocketAddress& address) const {
    return address.is_loopback() || is_unspecified(address) ||
           std::ranges::find(local_addresses_, address.ip()) != local_addresses_.end() ||
           is_own_source(address);
}

bool ConfiguredOurselves::is_own(const net::SocketAddress& address) const {
    if (is_unspecified(address)) return true;
    if (address.port() == kSmtpPort && address.is_loopback()) return true;
    return std::ranges::any_of(listeners_, [&](const conf::Endpoint& listener) {
        if (listener.port != address.port()) return false;
        if (listener.address.empty()) return is_local(address);
        const auto own = net::SocketAddress::parse(listener.address, listener.port);
        if (own && is_unspecified(*own)) return is_local(address);
        return own && own->ip() == address.ip();
    });
}

bool ConfiguredOurselves::is_own_name(const std::string& host) const {
    return iequals(host, hostname_);
}

std::vector<std::string> interface_addresses() {
    std::vector<std::string> addresses;
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0) return addresses;
    for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr) continue;
        const auto address = net::SocketAddress::from_sockaddr(one->ifa_addr);
        if (address.is_ip()) addresses.push_back(address.ip());
    }
    ::freeifaddrs(first);
    return addresses;
}

} // namespace tambo::relayd

// Which resolvers to ask, and which of them are believed when they say that an answer was verified.
#pragma once

#include "common/conf/config.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::dnsd {

struct Server {
    std::string address; // canonical text of an IPv4 or IPv6 address
    uint16_t port = 53;
    // Its AD bit counts: it is on this machine, or resolv.conf says trust-ad
    // (RULES.md N2).
    bool trusted = false;
    // Gives AD only where DNSSEC records are asked for (systemd-resolved).
    bool wants_do = false;

    std::string text() const; // "192.0.2.1:53", "[2001:db8::1]:53"
};

inline constexpr size_t kServersMax = 8;

// Of dns.servers.
std::vector<Server> servers_of(const std::vector<conf::Endpoint>& configured);
// Of resolv.conf(5): nameserver lines in their order and "options trust-ad"; everything else
// (search domains above all) is left unread. Addresses with a scope are left out.
std::vector<Server> parse_resolv_conf(std::string_view text);

} // namespace tambo::dnsd

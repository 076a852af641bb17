#include "cli/quickstart.h"

#include "common/base/text.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>

namespace tambo::cli {

namespace {

bool is_public_v4(const in_addr& address) {
    const uint32_t a = ntohl(address.s_addr);
    const auto within = [a](uint32_t network, int bits) {
        return (a >> (32 - bits)) == (network >> (32 - bits));
    };
    return !(within(0x7F000000, 8) || within(0x0A000000, 8) || within(0xAC100000, 12) ||
             within(0xC0A80000, 16) || within(0xA9FE0000, 16) || within(0x64400000, 10) ||
             within(0xC0000200, 24) || within(0xC6336400, 24) || within(0xCB007100, 24) ||
             within(0x00000000, 8) || a >= 0xE0000000);
}

bool is_public_v6(const in6_addr& address) {
    // 2000::/3 without the documentation prefix.
    const bool global = (address.s6_addr[0] & 0xE0) == 0x20;
    const bool documentation = address.s6_addr[0] == 0x20 && address.s6_addr[1] == 0x01 &&
                               address.s6_addr[2] == 0x0d && address.s6_addr[3] == 0xb8;
    return global && !documentation;
}

} // namespace

std::vector<std::string> public_addresses() {
    std::vector<std::string> found;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return found;
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
        if (entry->ifa_addr == nullptr || (entry->ifa_flags & IFF_UP) == 0) continue;
        char text[INET6_ADDRSTRLEN] = {};
        if (entry->ifa_addr->sa_family == AF_INET) {
            const auto* in = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
            if (!is_public_v4(in->sin_addr)) continue;
            ::inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        } else if (entry->ifa_addr->sa_family == AF_INET6) {
            const auto* in = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr);
            if (!is_public_v6(in->sin6_addr)) continue;
            ::inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
        } else {
            continue;
        }
        if (std::find(found.begin(), found.end(), text) == found.end()) found.emplace_back(text);
    }
    ::freeifaddrs(list);
    return found;
}

std::vector<DnsRecord> dns_records(const std::string& domain,
                                   const std::string& hostname,
                                   const std::vector<std::string>& addresses) {
    std::vector<DnsRecord> records;
    for (const auto& address : addresses) {
        const bool v6 = address.find(':') != std::string::npos;
        records.push_back({hostname, v6 ? "AAAA" : "A", address, "where the server is"});
    }
    if (addresses.empty()) {
        records.push_back({hostname, "A", "(the server's public address)", "where the server is"});
    }
    records.push_back({domain, "MX", cat("10 ", hostname), "mail for the domain comes here"});
    // ~all: old receivers reject at -all before they look further (RULES.md S1).
    records.push_back({domain, "TXT", "v=spf1 mx ~all", "who sends for the domain"});
    records.push_back({hostname, "TXT", "v=spf1 a -all", "the server's own name"});
    records.push_back({cat("_submissions._tcp.", domain), "SRV", cat("0 1 465 ", hostname),
                       "clients find the server"});
    records.push_back(
        {cat("_imaps._tcp.", domain), "SRV", cat("0 1 993 ", hostname), "clients find the server"});
    records.push_back(
        {cat("_pop3s._tcp.", domain), "SRV", cat("0 2 995 ", hostname), "clients find the server"});
    return records;
}

} // namespace tambo::cli

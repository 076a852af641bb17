// See servers.h.
#include "dnsd/servers.h"

#include "common/base/text.h"

#include <arpa/inet.h>

#include <array>
#include <optional>

namespace tambo::dnsd {

namespace {

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    size_t at = 0;
    while (at < line.size()) {
        const size_t start = line.find_first_not_of(" \t\r", at);
        if (start == std::string_view::npos) break;
        at = std::min(line.find_first_of(" \t\r", start), line.size());
        words.push_back(line.substr(start, at - start));
    }
    return words;
}

std::optional<Server> server_at(std::string_view address, uint16_t port) {
    const std::string text(address);
    std::array<unsigned char, 16> bytes{};
    std::array<char, INET6_ADDRSTRLEN> printed{};
    const int family = text.find(':') == std::string::npos ? AF_INET : AF_INET6;
    if (inet_pton(family, text.c_str(), bytes.data()) != 1) return std::nullopt;
    inet_ntop(family, bytes.data(), printed.data(), printed.size());
    Server server;
    server.address = printed.data();
    server.port = port;
    server.trusted = family == AF_INET ? bytes[0] == 127 : server.address == "::1";
    server.wants_do = server.address == "127.0.0.53";
    return server;
}

} // namespace

std::string Server::text() const {
    const bool v6 = address.find(':') != std::string::npos;
    return v6 ? cat('[', address, "]:", port) : cat(address, ':', port);
}

std::vector<Server> servers_of(const std::vector<conf::Endpoint>& configured) {
    std::vector<Server> servers;
    for (const auto& endpoint : configured) {
        auto server = server_at(endpoint.address, endpoint.port);
        if (server && servers.size() < kServersMax) servers.push_back(std::move(*server));
    }
    return servers;
}

std::vector<Server> parse_resolv_conf(std::string_view text) {
    std::vector<Server> servers;
    bool trust_ad = false;
    for (const auto line : split(text, '\n')) {
        const auto words = words_of(line.substr(0, line.find_first_of("#;")));
        if (words.size() < 2) continue;
        if (words[0] == "nameserver") {
            auto server = server_at(words[1], 53);
            if (server && servers.size() < kServersMax) servers.push_back(std::move(*server));
        }
        if (words[0] != "options") continue;
        for (const auto word : words)
            trust_ad = trust_ad || word == "trust-ad";
    }
    for (auto& server : servers)
        server.trusted = server.trusted || trust_ad;
    return servers;
}

} // namespace tambo::dnsd

// See service.h.
#include "dnsd/service.h"

#include <algorithm>

namespace tambo::dnsd {

void Service::configure(conf::DnsdConfig config) {
    config_ = std::move(config);
    choose();
}

void Service::set_resolv_conf(const std::string& text) {
    from_resolv_conf_ = parse_resolv_conf(text);
    choose();
}

// resolv.conf(5): without any nameserver line, the one on this machine.
void Service::choose() {
    servers_ = servers_of(config_.servers);
    if (servers_.empty()) servers_ = from_resolv_conf_;
    if (servers_.empty()) servers_ = servers_of({{"127.0.0.1", 53}});
    resolver_.set_servers(servers_);
}

std::vector<uint16_t> Service::ports() const {
    std::vector<uint16_t> ports;
    for (const auto& server : servers_) {
        if (std::ranges::find(ports, server.port) == ports.end()) ports.push_back(server.port);
    }
    return ports;
}

} // namespace tambo::dnsd

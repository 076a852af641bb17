// dnsd's one service: its resolvers from the configuration or from resolv.conf, and its peers.
#pragma once

#include "common/conf/dnsd_config.h"
#include "common/ipc/channel.h"
#include "common/sys/clock.h"
#include "dnsd/resolver.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::dnsd {

class Service {
  public:
    Service(Nursery& nursery, Clock& clock, Random& random) : resolver_(nursery, clock, random) {}

    void configure(conf::DnsdConfig config);
    // The text of resolv.conf; used where the configuration names no servers.
    void set_resolv_conf(const std::string& text);
    // A smtpd or relayd.
    void serve(ipc::Channel& peer) { peer.on<ipc::DnsLookup>(resolver_, &Resolver::lookup); }

    // Where TCP connections go: what the sandbox leaves open.
    std::vector<uint16_t> ports() const;

  private:
    void choose();

    Resolver resolver_;
    conf::DnsdConfig config_;
    std::vector<Server> from_resolv_conf_, servers_;
};

} // namespace tambo::dnsd

// Which addresses lead back to this very server (RULES.md N4).
#pragma once

#include "common/conf/relayd_config.h"
#include "common/net/address.h"

#include <string>
#include <vector>

namespace tambo::relayd {

class Ourselves {
  public:
    virtual ~Ourselves() = default;
    // Whether an SMTP connection to this address would reach our own listener.
    virtual bool is_own(const net::SocketAddress& address) const = 0;
    // Whether this is the name that other servers know us by.
    virtual bool is_own_name(const std::string& host) const = 0;
};

// By the configured listeners. Loopback addresses with port 25 are always ours: nobody else's mail
// is there; with another relay.port (test set-ups) only our real listeners are.
class ConfiguredOurselves final : public Ourselves {
  public:
    // local_addresses: of the interfaces; is_own() asks the kernel about those that came later.
    ConfiguredOurselves(const conf::RelaydConfig& config, std::vector<std::string> local_addresses)
        : hostname_(config.hostname), listeners_(config.own_listeners),
          local_addresses_(std::move(local_addresses)) {}
    bool is_own(const net::SocketAddress& address) const override;
    bool is_own_name(const std::string& host) const override;

  private:
    bool is_local(const net::SocketAddress& address) const;

    std::string hostname_;
    std::vector<conf::Endpoint> listeners_;
    std::vector<std::string> local_addresses_;
};

// The addresses of this machine's interfaces. Before the sandbox: it asks netlink.
std::vector<std::string> interface_addresses();

} // namespace tambo::relayd

// What relayd needs of the configuration. The smarthost's password is in no other daemon's part.
#pragma once

#include "common/conf/config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::conf {

// What is demanded of a connection's TLS.
enum class TlsDemand : uint8_t {
    opportunistic, // used where offered, any certificate
    encrypt,       // demanded, any certificate
    verify,        // demanded, with a certificate that fits the name
    last_ = verify
};

struct RelayRoute {
    std::string host; // empty: no smarthost, straight to the MX
    uint16_t port = 0;
    bool implicit_tls = false;
    TlsDemand tls = TlsDemand::opportunistic;
    std::string user, password; // empty: no login

    template <class V>
    void visit(V& v) {
        v(host, port, implicit_tls, tls, user, password);
    }
};

struct RelaydConfig {
    std::string hostname; // for EHLO, and never to be sent to
    uint16_t port = 25;   // of other servers
    RelayRoute smarthost;
    int64_t sessions_max = 0;
    std::vector<Endpoint> own_listeners; // listen.smtp: an MX that leads to one of them is ourselves

    template <class V>
    void visit(V& v) {
        v(hostname, port, smarthost, sessions_max, own_listeners);
    }
};

} // namespace tambo::conf

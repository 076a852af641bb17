// What imapd and pop3d need of the configuration, one struct for both.
#pragma once

#include <cstdint>
#include <string>

namespace tambo::conf {

struct LoginConfig {
    std::string hostname;
    int64_t generation_ms = 0;          // how long a process accepts, and
    int64_t generation_connections = 0; // how many connections, before its successor starts
    int64_t sessions_max = 0;           // at a time
    bool limits_on_loopback = false;

    template <class V>
    void visit(V& v) {
        v(hostname, generation_ms, generation_connections, sessions_max, limits_on_loopback);
    }
};

} // namespace tambo::conf

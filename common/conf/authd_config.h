// What authd needs of the configuration: it counts the limits of all daemons.
#pragma once

#include <cstdint>
#include <string>

namespace tambo::conf {

struct AuthdConfig {
    std::string hostname;       // a local domain
    std::string plus_separator; // one character or empty
    int64_t quota = 0;          // shown for accounts without one of their own
    bool limits_on_loopback = false;
    int64_t connections_per_address = 0, connection_rate_per_minute = 0;
    int64_t sessions_per_login_per_address = 0;
    int64_t login_failures_per_address = 0, login_failure_window_ms = 0, login_delay_max_ms = 0;
    int64_t messages_per_login_per_day = 0, recipients_per_login_per_day = 0;

    template <class V>
    void visit(V& v) {
        v(hostname, plus_separator, quota, limits_on_loopback, connections_per_address,
          connection_rate_per_minute, sessions_per_login_per_address, login_failures_per_address,
          login_failure_window_ms, login_delay_max_ms, messages_per_login_per_day,
          recipients_per_login_per_day);
    }
};

} // namespace tambo::conf

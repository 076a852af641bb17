// What queued needs of the configuration. Durations in ms, sizes in bytes.
#pragma once

#include <cstdint>
#include <string>

namespace tambo::conf {

struct QueuedConfig {
    std::string hostname;
    int64_t retry_min_ms = 0, retry_max_ms = 0;
    int64_t lifetime_ms = 0, bounce_lifetime_ms = 0; // the second for null senders
    int64_t delay_notice_ms = 0;                     // 0: no notice
    int64_t message_size_max = 0, recipients_max = 0;
    int64_t disk_reserve = 0; // bytes
    int64_t relay_sessions_max = 0; // per relayd process

    template <class V>
    void visit(V& v) {
        v(hostname, retry_min_ms, retry_max_ms, lifetime_ms, bounce_lifetime_ms, delay_notice_ms,
          message_size_max, recipients_max, disk_reserve, relay_sessions_max);
    }
};

} // namespace tambo::conf

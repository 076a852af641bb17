// What an smtpd process needs of the configuration; the same for the mx and the submission
// instances. Plain data for the control channel: durations in ms, sizes in bytes.
#pragma once

#include <cstdint>
#include <string>

namespace tambo::conf {

struct SmtpdConfig {
    std::string hostname;
    int64_t message_size_max = 0, recipients_max = 0;
    int64_t greeting_wait_ms = 0; // mx only
    int64_t sessions_max = 0;
    bool limits_on_loopback = false; // also for the greeting wait

    template <class V>
    void visit(V& v) {
        v(hostname, message_size_max, recipients_max, greeting_wait_ms, sessions_max,
          limits_on_loopback);
    }
};

} // namespace tambo::conf

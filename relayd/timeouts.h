// How long each stage of a session may take (RULES.md L2, RFC 5321 4.5.3.2), in one value so
// that tests can be impatient.
#pragma once

#include "common/base/limits.h"

#include <cstdint>

namespace tambo::relayd {

struct Timeouts {
    int64_t connect_ms = limits::relay_connect_timeout_ms;
    int64_t command_ms = limits::relay_command_timeout_ms; // greeting, EHLO, MAIL, RCPT
    int64_t tls_ms = limits::relay_tls_timeout_ms;
    int64_t data_ms = limits::relay_data_timeout_ms;   // the reply to DATA
    int64_t block_ms = limits::relay_block_timeout_ms; // each 64 KiB of content
    int64_t final_ms = limits::relay_final_timeout_ms; // the reply to the message
    int64_t session_ms = limits::relay_session_max_ms;
};

} // namespace tambo::relayd

// What all sessions of one smtpd process share: its role, its peers, its configuration. One
// program, wired twice: as mx (strangers, no logins) and as submission (our users). The role comes
// from master; which of them a message came through queued knows from the channel, not from us.
#pragma once

#include "common/base/limits.h"
#include "common/base/time.h"
#include "common/conf/smtpd_config.h"
#include "common/crypto/tls.h"
#include "common/event/nursery.h"
#include "common/ipc/channel.h"
#include "common/sys/clock.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace tambo::smtpd {

class Session;

enum class Role { mx, submission };

// The deadlines of a session; tests shorten them.
struct Pace {
    int64_t command_ms = limits::smtp_command_timeout_ms;
    int64_t stressed_command_ms = 10'000; // when most slots are taken (RULES.md L1)
    int64_t session_ms = limits::smtp_session_max_ms;
    int64_t handshake_ms = 60'000;
    int64_t data_grace_ms = limits::smtp_data_rate_grace_ms;
    int64_t data_bytes_per_s = limits::smtp_data_rate_min_bytes_per_s;
    int64_t error_delay_ms = 1000; // before each reply behind smtp_errors_soft
    int64_t linger_ms = 2000;      // reading on after the last reply, so that it arrives
    int64_t newcomer_ms = 2000;    // a drain spares who has come so shortly before
    int64_t farewell_ms = 500;     // before the end of a drain nobody is spared any more
    int64_t name_lookup_ms = limits::dns_query_timeout_ms;
    int64_t commit_ms = 120'000; // queued's answer: a barrier, never more than a disk can take
};

struct Service {
    Nursery& nursery;
    ipc::Channel& authd;
    ipc::Channel& queued;
    ipc::Channel* dnsd; // nullptr: clients have no names
    Clock& clock;
    Random& random;
    Role role;
    conf::SmtpdConfig config;
    std::optional<TlsContext> tls = {}; // absent: nothing of TLS is announced
    Pace pace = {};
    bool draining = false;            // sessions end between messages
    bool leaving = false;             // and now all of them
    std::set<Session*> sessions = {}; // kept by Session itself

    bool is_mx() const { return role == Role::mx; }
    bool is_stressed() const {
        return sessions.size() * 5 > static_cast<size_t>(config.sessions_max) * 4;
    }
};

} // namespace tambo::smtpd

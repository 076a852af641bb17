// When a delivery is tried again, when it is given up, when the sender is told of a delay. Pure.
#pragma once

#include "common/conf/queued_config.h"
#include "common/sys/clock.h"

#include <cstdint>

namespace tambo::queued {

struct RetryRules {
    int64_t retry_min_ms = 0, retry_max_ms = 0;
    int64_t lifetime_ms = 0, bounce_lifetime_ms = 0; // the second for null senders
    int64_t delay_notice_ms = 0;                     // 0: never

    static RetryRules of(const conf::QueuedConfig& config);
};

// Age of a delivery at the end of a failed attempt.
struct DeliveryAge {
    int64_t since_acceptance_ms = 0; // by the wall clock, which may have jumped
    int64_t queue_ran_ms = 0;        // how long the queue ran in that time (RULES.md R23)
    uint32_t attempts = 0;           // this one included
    bool null_sender = false;
};

// After attempt 1 retry_min, then five times that, then doubling, never above retry_max.
int64_t plain_delay_ms(const RetryRules& rules, uint32_t attempts);
// The same, ten percent more or less, so that messages do not march in step.
int64_t retry_delay_ms(const RetryRules& rules, uint32_t attempts, Random& random);

int64_t lifetime_ms(const RetryRules& rules, bool null_sender);
// A clock that jumps, or a server that was off for days, must not return mail that was hardly
// tried: besides the age it takes 10 attempts (or half of those that the schedule makes in a
// shorter lifetime) and two fifths of the lifetime with the queue running.
// RULES.md R23; RFC 5321 4.5.4.1.
bool is_expired(const RetryRules& rules, const DeliveryAge& age);

bool notice_due(const RetryRules& rules, int64_t since_acceptance_ms);

} // namespace tambo::queued

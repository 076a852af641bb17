#include "queued/retry.h"

#include <algorithm>

namespace tambo::queued {

namespace {

constexpr uint32_t kAttemptsMin = 10;
constexpr int64_t kSecondDelay = 5; // times retry_min

// Attempts that the plain schedule makes within the lifetime, counted up to twice kAttemptsMin.
uint32_t attempts_within(const RetryRules& rules, int64_t lifetime) {
    uint32_t attempts = 1;
    for (int64_t at = 0; attempts < 2 * kAttemptsMin; ++attempts) {
        at += plain_delay_ms(rules, attempts);
        if (at > lifetime) break;
    }
    return attempts;
}

} // namespace

RetryRules RetryRules::of(const conf::QueuedConfig& config) {
    return RetryRules{config.retry_min_ms, config.retry_max_ms, config.lifetime_ms,
                      config.bounce_lifetime_ms, config.delay_notice_ms};
}

int64_t plain_delay_ms(const RetryRules& rules, uint32_t attempts) {
    int64_t delay = rules.retry_min_ms;
    if (attempts > 1) delay *= kSecondDelay;
    for (uint32_t i = 2; i < attempts && delay < rules.retry_max_ms; ++i)
        delay *= 2;
    return std::min(delay, rules.retry_max_ms);
}

int64_t retry_delay_ms(const RetryRules& rules, uint32_t attempts, Random& random) {
    const int64_t plain = plain_delay_ms(rules, attempts);
    const int64_t tenth = plain / 10;
    if (tenth == 0) return plain;
    return plain - tenth + static_cast<int64_t>(random.below(static_cast<uint64_t>(2 * tenth + 1)));
}

int64_t lifetime_ms(const RetryRules& rules, bool null_sender) {
    return null_sender ? rules.bounce_lifetime_ms : rules.lifetime_ms;
}

bool is_expired(const RetryRules& rules, const DeliveryAge& age) {
    const int64_t lifetime = lifetime_ms(rules, age.null_sender);
    if (age.since_acceptance_ms < lifetime) return false;
    if (age.queue_ran_ms < lifetime / 5 * 2) return false;
    const uint32_t possible = attempts_within(rules, lifetime);
    return age.attempts >= std::max(1u, std::min(kAttemptsMin, possible / 2));
}

bool notice_due(const RetryRules& rules, int64_t since_acceptance_ms) {
    return rules.delay_notice_ms > 0 && since_acceptance_ms >= rules.delay_notice_ms;
}

} // namespace tambo::queued

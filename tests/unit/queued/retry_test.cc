#include "queued/retry.h"

#include "tests/unit/queued/harness.h"

using namespace tambo;
using namespace tambo::queued;
using namespace tambo::test;

namespace {

constexpr int64_t kMinute = 60'000, kHour = 60 * kMinute, kDay = 24 * kHour;
constexpr RetryRules kDefault{kMinute, 4'000'000, 5 * kDay, 2 * kDay, 4 * kHour};

// Attempts are made by the schedule until the message is given up; the queue runs a share of the
// time.
struct Life {
    int64_t given_up_at_ms = 0;
    uint32_t attempts = 0;
};

Life simulate(const RetryRules& rules, bool null_sender, double running_share, int64_t clock_jump) {
    FixedRandom random;
    Life life;
    for (int64_t now = 0;;) {
        ++life.attempts;
        const int64_t wall = now + (life.attempts > 3 ? clock_jump : 0);
        const DeliveryAge age{wall, static_cast<int64_t>(static_cast<double>(now) * running_share),
                              life.attempts, null_sender};
        if (is_expired(rules, age)) {
            life.given_up_at_ms = now;
            return life;
        }
        now += retry_delay_ms(rules, life.attempts, random);
    }
}

} // namespace

TEST_CASE("the waits grow from a minute to 4000 seconds") {
    const std::vector<int64_t> expected{60, 300, 600, 1200, 2400, 4000, 4000};
    for (uint32_t attempts = 1; attempts <= expected.size(); ++attempts) {
        CHECK(plain_delay_ms(kDefault, attempts) == expected[attempts - 1] * 1000);
    }
    CHECK(plain_delay_ms(kDefault, UINT32_MAX) == 4'000'000);
    CHECK(plain_delay_ms(RetryRules{9000, 1000, 0, 0, 0}, 1) == 1000);
    CHECK(plain_delay_ms(RetryRules{100, 250, 0, 0, 0}, 2) == 250);
}

TEST_CASE("jitter stays within ten percent and moves") {
    FixedRandom random;
    int64_t least = INT64_MAX, most = 0;
    for (int i = 0; i < 1000; ++i) {
        const int64_t delay = retry_delay_ms(kDefault, 9, random);
        least = std::min(least, delay);
        most = std::max(most, delay);
    }
    CHECK(least >= 3'600'000);
    CHECK(least < 3'700'000);
    CHECK(most <= 4'400'000);
    CHECK(most > 4'300'000);
    CHECK(retry_delay_ms(RetryRules{5, 5, 0, 0, 0}, 1, random) == 5);
}

TEST_CASE("a message lives five days, a bounce two") {
    const Life ordinary = simulate(kDefault, false, 1, 0);
    CHECK(ordinary.given_up_at_ms >= 5 * kDay);
    CHECK(ordinary.given_up_at_ms < 5 * kDay + 2 * kHour);
    CHECK(ordinary.attempts > 100);
    const Life bounce = simulate(kDefault, true, 1, 0);
    CHECK(bounce.given_up_at_ms >= 2 * kDay);
    CHECK(bounce.given_up_at_ms < 2 * kDay + 2 * kHour);
}

TEST_CASE("a clock that jumps ahead does not return mail") {
    const Life life = simulate(kDefault, false, 1, 400 * kDay);
    CHECK(life.given_up_at_ms >= 2 * kDay);
    CHECK(life.attempts >= 10);
}

TEST_CASE("a server that is mostly off tries for longer") {
    const Life life = simulate(kDefault, false, 0.1, 0);
    CHECK(life.given_up_at_ms >= 20 * kDay);
}

TEST_CASE("a backward jump only makes it longer") {
    const Life life = simulate(kDefault, false, 1, -kDay);
    CHECK(life.given_up_at_ms >= 6 * kDay);
    CHECK(life.given_up_at_ms < 6 * kDay + 2 * kHour);
}

TEST_CASE("age alone is not enough: attempts are needed") {
    CHECK_FALSE(is_expired(kDefault, DeliveryAge{6 * kDay, 6 * kDay, 9, false}));
    CHECK(is_expired(kDefault, DeliveryAge{6 * kDay, 6 * kDay, 10, false}));
    CHECK_FALSE(is_expired(kDefault, DeliveryAge{6 * kDay, kDay, 10, false}));
    CHECK_FALSE(is_expired(kDefault, DeliveryAge{4 * kDay, 4 * kDay, 99, false}));
}

TEST_CASE("short lifetimes need fewer attempts") {
    const RetryRules rules{1000, 2000, 10'000, 10'000, 0};
    const Life life = simulate(rules, false, 1, 0);
    CHECK(life.given_up_at_ms >= 10'000);
    CHECK(life.given_up_at_ms < 13'000);
    const RetryRules once{60'000, 60'000, 1000, 1000, 0};
    CHECK(simulate(once, false, 1, 0).attempts == 2);
}

TEST_CASE("the notice is due at its age, or never") {
    CHECK_FALSE(notice_due(kDefault, 4 * kHour - 1));
    CHECK(notice_due(kDefault, 4 * kHour));
    CHECK_FALSE(notice_due(RetryRules{}, 4 * kHour));
}

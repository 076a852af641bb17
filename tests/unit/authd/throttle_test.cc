#include "authd/throttle.h"

#include "authd/passwords.h"
#include "common/base/text.h"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace tambo;
using namespace tambo::authd;

namespace {

struct StoppedClock final : Clock {
    int64_t ms = 1'000'000'000'000;
    UtcTime now() override { return UtcTime{ms}; }
    int64_t monotonic_ms() override { return ms; }
};

struct Throttled {
    StoppedClock clock;
    conf::AuthdConfig config;
    Throttled() {
        config.login_failures_per_address = 20;
        config.login_failure_window_ms = 600'000;
        config.login_delay_max_ms = 16'000;
        config.limits_on_loopback = false;
    }
};

} // namespace

TEST_CASE("A4: each failure costs more time, and behind the twentieth nothing is tried") {
    Throttled t;
    Throttle throttle(t.config, t.clock);
    for (int i = 0; i < 20; ++i) {
        CHECK(throttle.may_authenticate("192.0.2.1", ""));
        CHECK(throttle.failed("192.0.2.1", "") == std::min<int64_t>(16'000, 1000ll << i));
    }
    CHECK_FALSE(throttle.may_authenticate("192.0.2.1", ""));
    CHECK(throttle.may_authenticate("192.0.2.2", ""));
    t.clock.ms += 600'001;
    CHECK(throttle.may_authenticate("192.0.2.1", ""));
}

TEST_CASE("A4: an IPv6 network counts as one, other forms of an address do not help") {
    Throttled t;
    Throttle throttle(t.config, t.clock);
    for (int i = 0; i < 20; ++i)
        throttle.failed(cat("2001:db8:1:2::", i + 1), "");
    CHECK_FALSE(throttle.may_authenticate("2001:db8:1:2:ffff::1", ""));
    CHECK(throttle.may_authenticate("2001:db8:1:3::1", ""));
    for (int i = 0; i < 100; ++i)
        CHECK(throttle.failed("127.0.0.1", "") == 0); // this machine is exempt
    CHECK(throttle.may_authenticate("127.0.0.1", ""));
    CHECK(throttle.may_authenticate("::1", ""));
    t.config.limits_on_loopback = true;
    throttle.configure(t.config);
    for (int i = 0; i < 20; ++i)
        throttle.failed("127.0.0.1", "");
    CHECK_FALSE(throttle.may_authenticate("127.0.0.1", ""));
}

TEST_CASE("limits per address never touch loopback unless told to") {
    Throttled t;
    t.config.connections_per_address = 3;
    t.config.connection_rate_per_minute = 5;
    t.config.login_failures_per_address = 4;
    t.config.login_delay_max_ms = 4'000;
    Throttle throttle(t.config, t.clock);
    for (int i = 0; i < 100; ++i)
        CHECK(throttle.open(ipc::Service::mx, "127.0.0.1").allowed);
    for (int i = 0; i < 3; ++i)
        CHECK(throttle.open(ipc::Service::mx, "2001:db8::1").allowed);
    CHECK_FALSE(throttle.open(ipc::Service::mx, "2001:db8::2").allowed);
    throttle.close(ipc::Service::mx, "2001:db8::1");
    CHECK(throttle.open(ipc::Service::mx, "2001:db8::3").allowed);
    throttle.close(ipc::Service::mx, "2001:db8::3");
    CHECK(throttle.open(ipc::Service::mx, "2001:db8::3").allowed);
    throttle.close(ipc::Service::mx, "2001:db8::3");
    CHECK_FALSE(throttle.open(ipc::Service::mx, "2001:db8::3").allowed); // rate
    CHECK(throttle.failed("192.0.2.1", "a@x") == 1000);
    CHECK(throttle.failed("192.0.2.1", "a@x") == 2000);
    CHECK(throttle.failed("192.0.2.1", "a@x") == 4000);
    CHECK(throttle.may_authenticate("192.0.2.1", "a@x"));
    CHECK(throttle.failed("192.0.2.1", "a@x") == 4000);
    CHECK_FALSE(throttle.may_authenticate("192.0.2.1", "a@x"));
    t.clock.ms += 600'001;
    CHECK(throttle.may_authenticate("192.0.2.1", "a@x"));
}

TEST_CASE("A6: a success that is remembered is of one account, one password and one service") {
    StoppedClock clock;
    SuccessCache cache(clock);
    cache.add("alice", "secret", "imap");
    CHECK(cache.contains("alice", "secret", "imap"));
    CHECK_FALSE(cache.contains("bob", "secret", "imap"));
    CHECK_FALSE(cache.contains("alice", "secret", "pop3"));
    CHECK_FALSE(cache.contains("alice", "secre", "imap"));
    CHECK_FALSE(cache.contains("alice", "", "imap"));
    CHECK_FALSE(cache.contains("", "secret", "imap"));
    // No other cut of the same bytes.
    CHECK_FALSE(cache.contains("alic", "secret", "eimap"));
    CHECK_FALSE(cache.contains(std::string_view("alice\0imap", 10), "secret", ""));
    CHECK_FALSE(cache.contains("alice", std::string_view("\0secret", 7), "imap"));
    SuccessCache other(clock); // each start has a key of its own
    CHECK_FALSE(other.contains("alice", "secret", "imap"));
    clock.ms += 300'001;
    CHECK_FALSE(cache.contains("alice", "secret", "imap"));
    cache.add("alice", "secret", "imap");
    cache.clear();
    CHECK_FALSE(cache.contains("alice", "secret", "imap"));
}

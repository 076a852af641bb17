#include "common/sys/clock.h"

#include "common/base/check.h"
#include "common/sys/error.h"

#include <sys/random.h>

#include <ctime>

namespace tambo {

UtcTime SystemClock::now() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return UtcTime{int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000};
}

int64_t SystemClock::monotonic_ms() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

uint64_t Random::below(uint64_t bound) {
    check(bound > 0, "an empty range has no random number");
    const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    for (;;) {
        const uint64_t number = u64();
        if (number < limit) return number % bound;
    }
}

uint64_t SystemRandom::u64() {
    uint64_t number = 0;
    if (::getrandom(&number, sizeof number, 0) != sizeof number) throw_errno("getrandom");
    return number;
}

std::string random_bytes(size_t count) {
    std::string bytes(count, '\0');
    size_t done = 0;
    while (done < count) {
        const ssize_t n = ::getrandom(bytes.data() + done, count - done, 0);
        if (n < 0) throw_errno("getrandom");
        done += static_cast<size_t>(n);
    }
    return bytes;
}

} // namespace tambo

// The real clock and the real random source, behind the interfaces that pure code is given.
#pragma once

#include "common/base/time.h"

#include <cstdint>
#include <string>

namespace tambo {

class SystemClock final : public Clock {
  public:
    UtcTime now() override;
    int64_t monotonic_ms() override;
};

class Random {
  public:
    virtual ~Random() = default;
    virtual uint64_t u64() = 0;
    // Evenly distributed in [0, bound); bound > 0.
    uint64_t below(uint64_t bound);
};

// getrandom(2). Fit for secrets.
class SystemRandom final : public Random {
  public:
    uint64_t u64() override;
};

// count bytes from getrandom(2).
std::string random_bytes(size_t count);

} // namespace tambo

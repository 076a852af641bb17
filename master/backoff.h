// When a dead child is started again: at once after a long life, later and later when it keeps
// dying young. Pure; the caller brings the clock.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tambo::master {

class Backoff {
  public:
    static constexpr int64_t kLongLife_ms = 10'000;
    static constexpr int64_t kFirst_ms = 50;
    static constexpr int64_t kCap_ms = 30'000;
    static constexpr int kLoopAfter = 8;

    // A child has ended after lived_ms. Returns the wait before the next start.
    int64_t died(int64_t lived_ms) {
        young_deaths_ = lived_ms >= kLongLife_ms ? 0 : young_deaths_ + 1;
        if (young_deaths_ <= 1) return 0;
        const int doublings = std::min(young_deaths_ - 2, 20);
        return std::min(kFirst_ms << doublings, kCap_ms);
    }
    // It dies again and again: worth an alarm, no longer worth a quick try.
    bool loops() const { return young_deaths_ >= kLoopAfter; }
    int young_deaths() const { return young_deaths_; }

  private:
    int young_deaths_ = 0;
};

} // namespace tambo::master

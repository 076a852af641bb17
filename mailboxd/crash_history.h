// When an account's process ends without being told to, how often, and whether it may come back.
// Three times within ten minutes pause the account for ten: one bad index must not cost a fork and
// a crash for each message that comes. Pure; times are monotonic milliseconds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

namespace tambo::mailboxd {

class CrashHistory {
  public:
    static constexpr size_t kCrashesMax = 3;
    static constexpr int64_t kWindowMs = 600'000;
    static constexpr int64_t kPauseMs = 600'000;

    // True: that was one too many, the pause begins.
    bool crashed(int64_t now_ms) {
        forget_old(now_ms);
        crashes_.push_back(now_ms);
        if (crashes_.size() < kCrashesMax) return false;
        crashes_.clear();
        paused_until_ms_ = now_ms + kPauseMs;
        return true;
    }
    bool paused(int64_t now_ms) const { return now_ms < paused_until_ms_; }
    // Nothing worth remembering.
    bool clean(int64_t now_ms) {
        forget_old(now_ms);
        return crashes_.empty() && !paused(now_ms);
    }
    size_t recent() const { return crashes_.size(); }

  private:
    void forget_old(int64_t now_ms) {
        while (!crashes_.empty() && crashes_.front() <= now_ms - kWindowMs)
            crashes_.pop_front();
    }
    std::deque<int64_t> crashes_;
    int64_t paused_until_ms_ = INT64_MIN;
};

} // namespace tambo::mailboxd

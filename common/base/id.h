// 128-bit ids of queue entries, messages, accounts and sessions. As text 26 characters of
// Crockford's base32 in lower case: fit for file names, log lines and reading aloud.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tambo {

struct Id {
    uint64_t high = 0, low = 0;

    auto operator<=>(const Id&) const = default;
    bool is_nil() const { return high == 0 && low == 0; }
    // 26 characters [0-9a-hjkmnp-tv-z].
    std::string text() const;
    static std::optional<Id> parse(std::string_view text);
    // Queue ids: {epoch 32, counter 32, ms of time 32, random 32}: unique across crashes, clock
    // steps and clones (RULES.md R21), ordered by epoch and counter.
    static Id make(uint32_t epoch, uint32_t counter, uint32_t time_part, uint32_t random);
};

struct IdHash {
    size_t operator()(const Id& id) const noexcept {
        return static_cast<size_t>(id.high * 0x9E3779B97F4A7C15u ^ id.low);
    }
};

} // namespace tambo

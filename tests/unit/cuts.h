// Where tests cut what they send: no reader may depend on where a segment ends. A test plays each
// of its dialogues whole, byte by byte, and with every write cut in two at each of its first
// 4096 bytes and at 64 random places beyond.
#pragma once

#include "common/base/text.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::cuts {

inline constexpr size_t kEverywhereBytes = 4096;
inline constexpr size_t kRandomPlaces = 64;
inline constexpr size_t kBytewiseBytes = 16 * 1024; // what is behind them is sent whole
inline constexpr size_t kWhole = 0;
inline constexpr size_t kBytewise = SIZE_MAX;

// Of the random places of this process. TAMBO_CUT_SEED=N plays those of another one again.
inline uint64_t seed() {
    static const uint64_t value = [] {
        const char* wanted = std::getenv("TAMBO_CUT_SEED");
        return wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : std::random_device{}();
    }();
    return value;
}

// Where so many bytes are cut in two: 0 < place < bytes.
inline std::set<size_t> places(size_t bytes) {
    std::set<size_t> all;
    for (size_t place = 1; place < std::min(bytes, kEverywhereBytes + 1); ++place)
        all.insert(place);
    if (bytes <= kEverywhereBytes + 1) return all;
    const size_t beyond = bytes - kEverywhereBytes - 1;
    const size_t wanted = all.size() + std::min(beyond, kRandomPlaces);
    std::mt19937_64 random(seed());
    while (all.size() < wanted)
        all.insert(kEverywhereBytes + 1 + random() % beyond);
    return all;
}

// 64 of them beyond the first 4 KiB, or all that there are.
inline std::set<size_t> random_places(size_t bytes) {
    auto all = places(bytes);
    all.erase(all.begin(), all.upper_bound(bytes > kEverywhereBytes + 1 ? kEverywhereBytes : 0));
    return all;
}

// What is sent alone, in turn. segment: where it is cut in two, each so many bytes are a write of
// their own, and are cut there (0: all of it is one write).
inline std::vector<std::string_view>
pieces(std::string_view bytes, size_t cut, size_t segment = 0) {
    std::vector<std::string_view> all;
    if (segment != 0 && cut != kWhole && cut != kBytewise) {
        for (; !bytes.empty(); bytes.remove_prefix(std::min(segment, bytes.size()))) {
            const auto two = pieces(bytes.substr(0, segment), cut);
            all.insert(all.end(), two.begin(), two.end());
        }
        return all;
    }
    if (cut == kBytewise) {
        for (; !bytes.empty() && all.size() < kBytewiseBytes; bytes.remove_prefix(1))
            all.push_back(bytes.substr(0, 1));
        if (!bytes.empty()) all.push_back(bytes);
    } else if (cut > 0 && cut < bytes.size()) {
        all = {bytes.substr(0, cut), bytes.substr(cut)};
    } else {
        all = {bytes};
    }
    return all;
}

// play(cut) returns what went wrong. longest: bytes of the longest write. skipped: places where a
// cut changes what is said, which have a dialogue of their own; there is none byte by byte then.
// Returns the first failure, with how to see it again.
template <class Play>
std::string everywhere(size_t longest, Play play, const std::set<size_t>& skipped = {}) {
    std::string failure = play(kWhole);
    if (failure.empty() && skipped.empty() && longest > 1) {
        failure = play(kBytewise);
        if (!failure.empty()) failure += " (byte by byte)";
    }
    for (const size_t place : places(longest)) {
        if (!failure.empty()) break;
        if (skipped.contains(place)) continue;
        failure = play(place);
        if (!failure.empty()) {
            failure += cat(" (each write cut at ", place, ", TAMBO_CUT_SEED=", seed(), ')');
        }
    }
    return failure;
}

} // namespace tambo::cuts

#include "common/base/id.h"

namespace tambo {

namespace {
constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";
}

std::string Id::text() const {
    std::string out(26, '0');
    unsigned __int128 value = static_cast<unsigned __int128>(high) << 64 | low;
    for (size_t i = out.size(); i-- > 0; value >>= 5) {
        out[i] = kDigits[static_cast<size_t>(value & 31)];
    }
    return out;
}

std::optional<Id> Id::parse(std::string_view text) {
    if (text.size() != 26) return std::nullopt;
    unsigned __int128 value = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        const auto digit = kDigits.find(text[i]);
        if (digit == std::string_view::npos || (i == 0 && digit > 7)) return std::nullopt;
        value = value << 5 | digit;
    }
    return Id{static_cast<uint64_t>(value >> 64), static_cast<uint64_t>(value)};
}

Id Id::make(uint32_t epoch, uint32_t counter, uint32_t time_part, uint32_t random) {
    return Id{static_cast<uint64_t>(epoch) << 32 | counter,
              static_cast<uint64_t>(time_part) << 32 | random};
}

} // namespace tambo

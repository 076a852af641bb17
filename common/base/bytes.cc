#include "common/base/bytes.h"

#include <array>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif
#include <cstring>

namespace tambo {

namespace {

constexpr std::array<uint32_t, 256> make_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit) {
            value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78u : 0u);
        }
        table[i] = value;
    }
    return table;
}

constexpr std::array<uint32_t, 256> kTable = make_table();

uint32_t crc_table(uint32_t crc, std::string_view data) {
    for (const char c : data) {
        crc = (crc >> 8) ^ kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff];
    }
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t crc_sse42(uint32_t crc, std::string_view data) {
    uint64_t wide = crc;
    while (data.size() >= 8) {
        uint64_t word = 0;
        std::memcpy(&word, data.data(), 8);
        wide = _mm_crc32_u64(wide, word);
        data.remove_prefix(8);
    }
    return crc_table(static_cast<uint32_t>(wide), data);
}
#endif

} // namespace

uint32_t crc32c(uint32_t crc, std::string_view data) {
    crc = ~crc;
#if defined(__x86_64__)
    static const bool fast = __builtin_cpu_supports("sse4.2");
    if (fast) return ~crc_sse42(crc, data);
#endif
    return ~crc_table(crc, data);
}

} // namespace tambo

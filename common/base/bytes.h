// Little-endian integers in byte strings, and CRC-32C: the forms used on disk and between
// processes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tambo {

template <class I>
void put_le(std::string& out, I number) {
    for (size_t i = 0; i < sizeof(I); ++i) {
        out.push_back(static_cast<char>((static_cast<uint64_t>(number) >> (8 * i)) & 0xff));
    }
}

// Reads sizeof(I) bytes at data; the caller has checked that they are there.
template <class I>
I get_le(const char* data) {
    uint64_t number = 0;
    for (size_t i = 0; i < sizeof(I); ++i) {
        number |= static_cast<uint64_t>(static_cast<unsigned char>(data[i])) << (8 * i);
    }
    return static_cast<I>(number);
}

// CRC-32C (Castagnoli), continued from crc; start with 0.
uint32_t crc32c(uint32_t crc, std::string_view data);

} // namespace tambo

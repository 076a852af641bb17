// Little-endian integers in byte strings, and CRC-32C: the forms used on disk and between
// processes.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace tambo {

// In these the bytes are those of memory; blobs of the store are full of them.
static_assert(std::endian::native == std::endian::little, "Tambo runs on little-endian machines");

template <class I>
void put_le(std::string& out, I number) {
    char bytes[sizeof(I)];
    std::memcpy(bytes, &number, sizeof(I));
    out.append(bytes, sizeof(I));
}

// Reads sizeof(I) bytes at data; the caller has checked that they are there.
template <class I>
I get_le(const char* data) {
    I number;
    std::memcpy(&number, data, sizeof(I));
    return number;
}

// CRC-32C (Castagnoli), continued from crc; start with 0.
uint32_t crc32c(uint32_t crc, std::string_view data);

} // namespace tambo

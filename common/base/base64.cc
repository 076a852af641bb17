#include "common/base/base64.h"

#include <algorithm>
#include <cstdint>

namespace tambo {

namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// -1: not of the alphabet.
int value_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    return c == '/' ? 63 : -1;
}

} // namespace

std::string base64_encode(std::string_view bytes) {
    std::string out;
    out.reserve((bytes.size() + 2) / 3 * 4);
    for (size_t i = 0; i < bytes.size(); i += 3) {
        const size_t n = std::min<size_t>(3, bytes.size() - i);
        uint32_t group = 0;
        for (size_t k = 0; k < 3; ++k) {
            group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        }
        for (size_t k = 0; k < 4; ++k) {
            out.push_back(k <= n ? kAlphabet[(group >> (18 - 6 * k)) & 63] : '=');
        }
    }
    return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string out;
    out.reserve(text.size() / 4 * 3);
    for (size_t i = 0; i < text.size(); i += 4) {
        size_t pad = 0;
        uint32_t group = 0;
        for (size_t k = 0; k < 4; ++k) {
            const char c = text[i + k];
            const int value = value_of(c);
            const bool may_pad = c == '=' && i + 4 == text.size() && k >= 2;
            if (value < 0 && !may_pad) return std::nullopt;
            if (value >= 0 && pad > 0) return std::nullopt;
            pad += value < 0;
            group = group << 6 | static_cast<uint32_t>(value < 0 ? 0 : value);
        }
        for (size_t k = 0; k < 3 - pad; ++k) {
            out.push_back(static_cast<char>((group >> (16 - 8 * k)) & 0xff));
        }
        if (pad == 1 && (group & 0xff) != 0) return std::nullopt;
        if (pad == 2 && (group & 0xffff) != 0) return std::nullopt;
    }
    return out;
}

} // namespace tambo

// The one question about host names that TLS asks: may these bytes be one?
#pragma once

#include "common/base/text.h"

#include <string_view>

namespace tambo {

// Letters, digits and hyphens in labels of 1 to 63 bytes, no label with a hyphen at an end, at most
// 253 bytes, no dot at the end, the last label not a number, which would be an IPv4 literal
// (RFC 1123 2.1, RFC 6066 3).
constexpr bool is_host_name(std::string_view name) {
    if (name.empty() || name.size() > 253) return false;
    size_t label_bytes = 0;
    bool number = true;
    char previous = '.';
    for (const char c : name) {
        if (c == '.') {
            if (label_bytes == 0 || previous == '-') return false;
            label_bytes = 0;
            number = true;
        } else {
            if (!is_alnum(c) && (c != '-' || label_bytes == 0)) return false;
            if (++label_bytes > 63) return false;
            number = number && is_digit(c);
        }
        previous = c;
    }
    return label_bytes > 0 && previous != '-' && !number;
}

} // namespace tambo

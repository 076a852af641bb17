#include "common/smtp/xtext.h"

#include "common/base/text.h"

namespace tambo::smtp {

namespace {

// xchar: any ASCII CHAR between "!" (33) and "~" (126) except "+" and "=".
bool is_xchar(char c) {
    return c >= '!' && c <= '~' && c != '+' && c != '=';
}

bool is_upper_hex(char c) {
    return is_digit(c) || (c >= 'A' && c <= 'F');
}

} // namespace

std::optional<std::string> xtext_decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (size_t i = 0; i < text.size(); ++i) {
        if (is_xchar(text[i])) {
            out.push_back(text[i]);
            continue;
        }
        const auto digits = text.substr(i + 1, 2);
        if (text[i] != '+' || digits.size() != 2) return std::nullopt;
        if (!is_upper_hex(digits[0]) || !is_upper_hex(digits[1])) return std::nullopt;
        out.append(*from_hex(digits));
        i += 2;
    }
    return out;
}

std::string xtext_encode(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    for (size_t i = 0; i < bytes.size(); ++i) {
        if (is_xchar(bytes[i])) {
            out.push_back(bytes[i]);
        } else {
            out.append("+").append(to_upper(to_hex(bytes.substr(i, 1))));
        }
    }
    return out;
}

} // namespace tambo::smtp

#include "common/smtp/reply.h"

#include "common/base/cursor.h"
#include "common/base/text.h"

#include <algorithm>

namespace tambo::smtp {

namespace {

constexpr size_t kLineBytesMax = 512; // RFC 5321 4.5.3.1.5, CRLF included

void append_text(std::string& out, std::string_view text) {
    for (const char c : text)
        out.push_back(is_ctl(c) || is_8bit(c) ? '?' : c);
}

bool take_part(Cursor& in) {
    const auto digits = in.take_while(is_digit);
    return !digits.empty() && digits.size() <= 3 && (digits.size() == 1 || digits[0] != '0');
}

} // namespace

void Reply::append_to(std::string& out) const {
    std::string_view rest = text;
    for (;;) {
        const auto end = rest.find('\n');
        const bool last = end == std::string_view::npos;
        cat_to(out, code);
        out.push_back(last ? ' ' : '-');
        size_t head = 4;
        if (!enhanced.empty()) {
            out.append(enhanced).push_back(' ');
            head += enhanced.size() + 1;
        }
        append_text(out, rest.substr(0, std::min(end, kLineBytesMax - 2 - head)));
        out.append("\r\n");
        if (last) return;
        rest.remove_prefix(end + 1);
    }
}

std::string Reply::wire() const {
    std::string out;
    append_to(out);
    return out;
}

bool is_enhanced_code(std::string_view code) {
    Cursor in(code);
    const char status = in.take();
    if (status != '2' && status != '4' && status != '5') return false;
    if (!in.accept('.') || !take_part(in)) return false;
    return in.accept('.') && take_part(in) && in.empty();
}

} // namespace tambo::smtp

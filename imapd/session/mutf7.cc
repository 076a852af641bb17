// See mutf7.h. Canonical form is enforced by encoding the decoded name again: one rule instead of a
// list of forbidden spellings.
#include "imapd/session/mutf7.h"

#include "common/base/base64.h"
#include "common/base/cursor.h"
#include "common/base/text.h"

#include <algorithm>
#include <cstdint>

namespace tambo::imap {

namespace {

bool is_direct(char c) {
    return c >= 0x20 && c <= 0x7e;
}

void put_utf8(std::string& out, uint32_t code) {
    const auto byte = [&out](uint32_t b) { out.push_back(static_cast<char>(b)); };
    if (code < 0x80) {
        byte(code);
    } else if (code < 0x800) {
        byte(0xC0 | code >> 6);
        byte(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        byte(0xE0 | code >> 12);
        byte(0x80 | (code >> 6 & 0x3F));
        byte(0x80 | (code & 0x3F));
    } else {
        byte(0xF0 | code >> 18);
        byte(0x80 | (code >> 12 & 0x3F));
        byte(0x80 | (code >> 6 & 0x3F));
        byte(0x80 | (code & 0x3F));
    }
}

// Appends what UTF-16BE bytes stand for; false for an odd length or a lone surrogate.
bool put_utf16(std::string& out, std::string_view bytes) {
    const auto unit = [&bytes](size_t i) {
        return static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])) << 8 |
               static_cast<unsigned char>(bytes[i + 1]);
    };
    if (bytes.empty() || bytes.size() % 2 != 0) return false;
    for (size_t i = 0; i < bytes.size(); i += 2) {
        uint32_t code = unit(i);
        if (code >= 0xDC00 && code <= 0xDFFF) return false;
        if (code >= 0xD800 && code <= 0xDBFF) {
            i += 2;
            if (i >= bytes.size() || unit(i) < 0xDC00 || unit(i) > 0xDFFF) return false;
            code = 0x10000 + ((code - 0xD800) << 10) + (unit(i) - 0xDC00);
        }
        put_utf8(out, code);
    }
    return true;
}

// The bytes of one "&...-" shift; text is what stands between.
bool put_shift(std::string& out, std::string_view text) {
    std::string base64(text);
    if (base64.find('/') != std::string::npos) return false;
    std::replace(base64.begin(), base64.end(), ',', '/');
    base64.append((4 - base64.size() % 4) % 4, '=');
    const auto bytes = base64_decode(base64);
    return bytes && put_utf16(out, *bytes);
}

void put_unit(std::string& out, uint32_t unit) {
    out.push_back(static_cast<char>(unit >> 8 & 0xFF));
    out.push_back(static_cast<char>(unit & 0xFF));
}

// One character of well-formed UTF-8 as UTF-16BE.
void take_character(Cursor& in, std::string& utf16) {
    const auto lead = static_cast<unsigned char>(in.take());
    uint32_t code = lead;
    if (lead >= 0xF0) {
        code = lead & 0x07u;
    } else if (lead >= 0xE0) {
        code = lead & 0x0Fu;
    } else if (lead >= 0xC0) {
        code = lead & 0x1Fu;
    }
    const int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    for (int i = 0; i < more; ++i) {
        code = code << 6 | (static_cast<unsigned char>(in.take()) & 0x3Fu);
    }
    if (code < 0x10000) return put_unit(utf16, code);
    put_unit(utf16, 0xD800 + ((code - 0x10000) >> 10));
    put_unit(utf16, 0xDC00 + ((code - 0x10000) & 0x3FF));
}

} // namespace

std::optional<std::string> mutf7_to_utf8(std::string_view name) {
    std::string out;
    Cursor in(name);
    while (!in.empty()) {
        const char c = in.take();
        if (!is_direct(c)) return std::nullopt;
        if (c != '&') {
            out.push_back(c);
            continue;
        }
        const auto shifted = in.take_while([](char x) { return x != '-'; });
        if (!in.accept('-')) return std::nullopt;
        if (shifted.empty()) {
            out.push_back('&');
        } else if (!put_shift(out, shifted)) {
            return std::nullopt;
        }
    }
    if (std::any_of(out.begin(), out.end(), is_ctl)) return std::nullopt;
    if (utf8_to_mutf7(out) != name) return std::nullopt;
    return out;
}

std::string utf8_to_mutf7(std::string_view utf8) {
    std::string out;
    Cursor in(utf8);
    while (!in.empty()) {
        if (is_direct(in.peek())) {
            const char c = in.take();
            out.push_back(c);
            if (c == '&') out.push_back('-');
            continue;
        }
        std::string utf16;
        while (!in.empty() && !is_direct(in.peek()))
            take_character(in, utf16);
        std::string base64 = base64_encode(utf16);
        base64.resize(std::min(base64.find('='), base64.size()));
        std::replace(base64.begin(), base64.end(), '/', ',');
        cat_to(out, cat('&', base64, '-'));
    }
    return out;
}

} // namespace tambo::imap

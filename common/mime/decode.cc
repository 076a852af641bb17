// See decode.h.
#include "common/mime/decode.h"

#include "common/base/base64.h"
#include "common/base/text.h"
#include "common/mime/lexer.h"

#include <array>

namespace tambo::mime {

namespace {

constexpr size_t kLine = 76;       // RFC 2045 6.7 (5), 6.8
constexpr size_t kBase64Line = 57; // bytes that make a line of 76
constexpr size_t kBlanksHeld = 1024;

constexpr int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    const char l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

constexpr std::array<int8_t, 256> make_base64_values() {
    std::array<int8_t, 256> values{};
    for (auto& v : values)
        v = -1;
    int8_t next = 0;
    for (char c = 'A'; c <= 'Z'; ++c)
        values[static_cast<size_t>(c)] = next++;
    for (char c = 'a'; c <= 'z'; ++c)
        values[static_cast<size_t>(c)] = next++;
    for (char c = '0'; c <= '9'; ++c)
        values[static_cast<size_t>(c)] = next++;
    values['+'] = next++;
    values['/'] = next;
    return values;
}

constexpr auto kBase64Values = make_base64_values();

} // namespace

void QuotedPrintableDecoder::feed(std::string_view in, std::string& out) {
    while (!in.empty()) {
        if (at_ == At::text) {
            // A run of plain bytes and line ends; the blanks at its end may be dropped.
            size_t end = 0;
            for (char last = '\0'; end < in.size() && in[end] != '='; last = in[end++]) {
                if (is_line_end(in[end]) && is_wsp(last)) break;
            }
            size_t text = end;
            while (text > 0 && is_wsp(in[text - 1]) && end - text < kBlanksHeld)
                --text;
            out.append(in.substr(0, text));
            held_.append(in.substr(text, end - text));
            if (!held_.empty()) at_ = At::blank;
            in.remove_prefix(end);
            if (in.empty()) return;
        }
        byte(in.front(), out);
        in.remove_prefix(1);
    }
}

// One byte that begins or continues something.
void QuotedPrintableDecoder::byte(char c, std::string& out) {
    if (continues(c, out)) return;
    // c ends what was held, and may begin something itself.
    out.append(held_);
    held_.clear();
    at_ = c == '=' ? At::equals : is_wsp(c) ? At::blank : At::text;
    if (at_ == At::text) {
        out.push_back(c);
    } else {
        held_.push_back(c);
    }
}

// true: c was taken as the continuation of what is held. false: it is none, held_ is text.
bool QuotedPrintableDecoder::continues(char c, std::string& out) {
    const bool line_end = is_line_end(c);
    switch (at_) {
    case At::text:
        return false;
    case At::blank:
        if (line_end) held_.clear();
        if (!is_wsp(c) || held_.size() >= kBlanksHeld) return false;
        held_.push_back(c);
        return true;
    case At::equals:
        if (hex_value(c) >= 0) {
            held_.push_back(c);
            at_ = At::hex;
            return true;
        }
        [[fallthrough]];
    case At::soft_blank:
        if (is_wsp(c) && held_.size() < kBlanksHeld) {
            held_.push_back(c);
            at_ = At::soft_blank;
            return true;
        }
        if (!line_end) return false;
        held_.clear();
        at_ = c == '\r' ? At::soft_cr : At::text;
        return true;
    case At::hex:
        if (hex_value(c) < 0) return false;
        out.push_back(static_cast<char>(hex_value(held_[1]) * 16 + hex_value(c)));
        held_.clear();
        at_ = At::text;
        return true;
    case At::soft_cr:
        at_ = At::text;
        return c == '\n';
    }
    return false;
}

void QuotedPrintableDecoder::finish(std::string& out) {
    if (at_ == At::hex) out.append(held_);
    held_.clear();
    at_ = At::text;
}

void Base64Decoder::feed(std::string_view in, std::string& out) {
    const auto value_at = [&](size_t i) -> int {
        return kBase64Values[static_cast<unsigned char>(in[i])];
    };
    for (size_t at = 0; at < in.size(); ++at) {
        // Whole groups at once, as long as nothing else comes.
        for (; count_ == 0 && in.size() - at >= 4; at += 4) {
            const int a = value_at(at), b = value_at(at + 1), c = value_at(at + 2),
                      d = value_at(at + 3);
            if ((a | b | c | d) < 0) break;
            const char group[] = {static_cast<char>(a << 2 | b >> 4),
                                  static_cast<char>((b & 15) << 4 | c >> 2),
                                  static_cast<char>((c & 3) << 6 | d)};
            out.append(group, sizeof group);
        }
        if (at == in.size()) return;
        const char c = in[at];
        const int value = value_at(at);
        if (value >= 0) {
            bits_ = bits_ << 6 | static_cast<uint32_t>(value);
            if (++count_ < 4) continue;
            out.push_back(static_cast<char>(bits_ >> 16 & 0xff));
            out.push_back(static_cast<char>(bits_ >> 8 & 0xff));
            out.push_back(static_cast<char>(bits_ & 0xff));
            bits_ = 0;
            count_ = 0;
        } else if (c == '=') {
            finish(out);
        }
    }
}

void Base64Decoder::finish(std::string& out) {
    if (count_ == 2) out.push_back(static_cast<char>(bits_ >> 4 & 0xff));
    if (count_ == 3) {
        out.push_back(static_cast<char>(bits_ >> 10 & 0xff));
        out.push_back(static_cast<char>(bits_ >> 2 & 0xff));
    }
    bits_ = 0;
    count_ = 0;
}

void QuotedPrintableEncoder::put(char c, bool escaped, std::string& out) {
    const size_t width = escaped ? 3 : 1;
    if (column_ + width > kLine - 1) { // one column for the "=" of a soft break
        out.append("=\r\n");
        column_ = 0;
    }
    if (escaped) {
        out.push_back('=');
        out.append(to_upper(to_hex(std::string_view(&c, 1))));
    } else {
        out.push_back(c);
    }
    column_ += width;
}

void QuotedPrintableEncoder::release(std::string& out, bool before_line_end) {
    const char c = held_;
    held_ = '\0';
    if (c != '\0') put(c, c == '\r' || before_line_end, out);
}

void QuotedPrintableEncoder::line_end(std::string& out) {
    if (held_ == '\r') held_ = '\0'; // it belongs to the line end
    release(out, true);
    out.append("\r\n");
    column_ = 0;
}

void QuotedPrintableEncoder::feed(std::string_view in, std::string& out) {
    for (const char c : in) {
        if (c == '\n') {
            line_end(out);
            continue;
        }
        if (c == '\r' && is_wsp(held_)) {
            // Blank, CR: whether a line ends here is not known yet; escaped it is right both ways.
            release(out, true);
        } else {
            release(out, false);
        }
        if (c == '\r' || is_wsp(c)) {
            held_ = c;
        } else {
            put(c, c == '=' || is_ctl(c) || is_8bit(c), out);
        }
    }
}

void QuotedPrintableEncoder::finish(std::string& out) {
    release(out, true);
}

void Base64Encoder::feed(std::string_view in, std::string& out) {
    if (held_.size() + in.size() >= kBase64Line && !held_.empty()) {
        const auto rest = in.substr(0, kBase64Line - held_.size());
        held_.append(rest);
        in.remove_prefix(rest.size());
        out.append(base64_encode(held_)).append("\r\n");
        held_.clear();
    }
    for (; in.size() >= kBase64Line; in.remove_prefix(kBase64Line)) {
        out.append(base64_encode(in.substr(0, kBase64Line))).append("\r\n");
    }
    held_.append(in);
}

void Base64Encoder::finish(std::string& out) {
    if (!held_.empty()) out.append(base64_encode(held_)).append("\r\n");
    held_.clear();
}

void BodyDecoder::feed(std::string_view in, std::string& out) {
    switch (encoding_) {
    case Encoding::quoted_printable:
        return quoted_printable_.feed(in, out);
    case Encoding::base64:
        return base64_.feed(in, out);
    case Encoding::identity:
    case Encoding::unknown:
        out.append(in);
    }
}

void BodyDecoder::finish(std::string& out) {
    if (encoding_ == Encoding::quoted_printable) quoted_printable_.finish(out);
    if (encoding_ == Encoding::base64) base64_.finish(out);
}

void TextDecoder::feed(std::string_view in, std::string& out) {
    bytes_.clear();
    body_.feed(in, bytes_);
    charset_.feed(bytes_, out);
}

void TextDecoder::finish(std::string& out) {
    bytes_.clear();
    body_.finish(bytes_);
    charset_.feed(bytes_, out);
    charset_.finish(out);
}

std::string decode_body(Encoding encoding, std::string_view in) {
    BodyDecoder decoder(encoding);
    std::string out;
    decoder.feed(in, out);
    decoder.finish(out);
    return out;
}

} // namespace tambo::mime

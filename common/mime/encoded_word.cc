// See encoded_word.h.
#include "common/mime/encoded_word.h"

#include "common/base/base64.h"
#include "common/base/text.h"
#include "common/mime/charset.h"
#include "common/mime/decode.h"
#include "common/mime/lexer.h"

#include <algorithm>
#include <optional>

namespace tambo::mime {

namespace {

struct Word {
    std::string_view charset, text;
    bool base64 = false;
};

// The encoded word at in; in is behind it then, else unmoved. The parts end at the next '?', so a
// text of many beginnings is still read in linear time.
std::optional<Word> take_word(Cursor& in) {
    const size_t start = in.position();
    const auto is_text = [](char c) { return c != '?' && (!is_ctl(c) || c == '\t'); };
    Word word;
    if (in.accept("=?")) {
        word.charset = in.take_while([](char c) { return is_token(c); });
        in.accept('?');
        const char encoding = lower(in.take());
        word.base64 = encoding == 'b';
        const bool known = word.base64 || encoding == 'q';
        if (known && !word.charset.empty() && in.accept('?')) {
            word.text = in.take_while(is_text);
            if (in.accept("?=")) return word;
        }
    }
    in.rewind(start);
    return std::nullopt;
}

// RFC 2047 4.2: like quoted-printable, and '_' is a blank.
std::string decode_q(std::string_view text) {
    std::string source(text);
    std::replace(source.begin(), source.end(), '_', ' ');
    source.push_back('.'); // blanks at the end are text here
    std::string out = decode_body(Encoding::quoted_printable, source);
    out.pop_back();
    return out;
}

// Collects the bytes of neighbouring words of one charset, so that a character may be split.
class Output {
  public:
    void word(const Word& word) {
        const auto charset = split_once(word.charset, '*').first;
        if (!iequals(charset, charset_)) flush();
        charset_ = charset;
        bytes_ += word.base64 ? decode_body(Encoding::base64, word.text) : decode_q(word.text);
    }
    void plain(std::string_view text) {
        flush();
        text_ += guess_utf8(text);
    }
    std::string take() {
        flush();
        std::replace_if(
            text_.begin(), text_.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; },
            ' ');
        return std::move(text_);
    }

  private:
    void flush() {
        if (!bytes_.empty()) text_ += to_utf8(charset_, bytes_);
        bytes_.clear();
    }
    std::string text_, bytes_, charset_;
};

// RFC 2047 5 (3): what Q may show as it is in every place.
constexpr bool is_q_safe(char c) {
    return is_alnum(c) || std::string_view("!*+-/").find(c) != std::string_view::npos;
}

constexpr std::string_view kPrefix = "=?utf-8?Q?"; // as long as with B
constexpr size_t kPayload = 75 - kPrefix.size() - 2;
constexpr size_t kPayloadMin = 16; // a character of four bytes, whatever stands before it

size_t q_width(std::string_view character) {
    if (character.size() > 1) return character.size() * 3;
    return is_q_safe(character[0]) || character[0] == ' ' ? 1 : 3;
}

void append_q(std::string& out, std::string_view character) {
    for (const char c : character) {
        if (c == ' ') {
            out.push_back('_');
        } else if (is_q_safe(c)) {
            out.push_back(c);
        } else {
            out.push_back('=');
            out.append(to_upper(to_hex(std::string_view(&c, 1))));
        }
    }
}

// The next character of valid UTF-8 text.
std::string_view next_character(std::string_view text) {
    return text.substr(0, std::max<size_t>(1, utf8_sequence(text)));
}

} // namespace

std::string decode_words(std::string_view raw) {
    const std::string text = unfold(raw);
    Cursor in(text);
    Output out;
    size_t plain_begin = 0;
    bool after_word = false;
    while (!in.empty()) {
        const size_t at = in.position();
        const auto word = in.peek() == '=' ? take_word(in) : std::nullopt;
        if (!word) {
            in.skip(1);
            continue;
        }
        const auto plain = std::string_view(text).substr(plain_begin, at - plain_begin);
        const bool between = after_word && trim(plain).empty(); // RFC 2047 6.2
        if (!between && !plain.empty()) out.plain(plain);
        out.word(*word);
        plain_begin = in.position();
        after_word = true;
    }
    if (plain_begin < text.size()) out.plain(std::string_view(text).substr(plain_begin));
    return out.take();
}

bool is_plain(std::string_view text) {
    const bool printable =
        std::all_of(text.begin(), text.end(), [](char c) { return !is_8bit(c) && !is_ctl(c); });
    return printable && text.find("=?") == std::string_view::npos;
}

std::string encode_words(std::string_view utf8, size_t column) {
    if (is_plain(utf8)) return std::string(utf8);
    const std::string text = guess_utf8(utf8);
    size_t q_size = 0;
    for (size_t at = 0; at < text.size();) {
        const auto character = next_character(std::string_view(text).substr(at));
        q_size += q_width(character);
        at += character.size();
    }
    const bool base64 = 2 * q_size > 5 * text.size(); // mostly ASCII stays readable
    std::string out;
    const size_t taken = std::min(column > 1 ? column - 1 : 0, kPayload - kPayloadMin);
    for (size_t at = 0, payload_max = kPayload - taken; at < text.size(); payload_max = kPayload) {
        std::string payload;
        for (size_t room = base64 ? payload_max / 4 * 3 : payload_max; at < text.size();) {
            const auto character = next_character(std::string_view(text).substr(at));
            const size_t width = base64 ? character.size() : q_width(character);
            if (width > room) break;
            room -= width;
            at += character.size();
            if (base64) {
                payload.append(character);
            } else {
                append_q(payload, character);
            }
        }
        if (!out.empty()) out.push_back(' ');
        out.append(base64 ? "=?utf-8?B?" : kPrefix);
        out.append(base64 ? base64_encode(payload) : payload).append("?=");
    }
    return out;
}

} // namespace tambo::mime

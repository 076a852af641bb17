// See charset.h.
#include "common/mime/charset.h"

#include "common/base/text.h"
#include "common/mime/icu_data.h"

#include <unicode/ucnv.h>

#include <algorithm>
#include <array>

namespace tambo::mime {

namespace {

struct Alias {
    std::string_view name, meant;
};

// Names that mail uses for something else than ICU takes them for: mostly the smaller charset of
// the two that are mixed up (as in the WHATWG Encoding Standard).
constexpr std::array kAliases{
    Alias{"utf8", "utf-8"},
    Alias{"unicode-1-1-utf-8", "utf-8"},
    Alias{"us-ascii", ""},
    Alias{"ascii", ""},
    Alias{"ansi_x3.4-1968", ""},
    Alias{"unknown-8bit", ""},
    Alias{"iso-8859-1", "windows-1252"},
    Alias{"iso8859-1", "windows-1252"},
    Alias{"latin1", "windows-1252"},
    Alias{"cp1252", "windows-1252"},
    Alias{"iso-8859-9", "windows-1254"},
    Alias{"tis-620", "windows-874"},
    Alias{"gb2312", "gb18030"},
    Alias{"gbk", "gb18030"},
    Alias{"x-gbk", "gb18030"},
    Alias{"euc-kr", "windows-949"},
    Alias{"ks_c_5601-1987", "windows-949"},
};

// 0x80..0x9f of windows-1252; the five unused ones as the C1 controls, as browsers do.
constexpr std::array<char16_t, 32> kWindows1252{
    0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008D, 0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178};

constexpr size_t kNameBytes = 60;

bool is_icu_name(std::string_view name) {
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
        return is_alnum(c) || std::string_view("-_.:+").find(c) != std::string_view::npos;
    });
    return plain && !name.empty() && name.size() <= kNameBytes;
}

void append_windows_1252(char c, std::string& out) {
    const auto byte = static_cast<unsigned char>(c);
    append_utf8(out, byte < 0x80 || byte >= 0xA0 ? byte : kWindows1252[byte - 0x80u]);
}

// s, shorter than 4 bytes and no whole sequence, may become one with more bytes.
bool may_continue(std::string_view s) {
    const auto lead = static_cast<unsigned char>(s[0]);
    const size_t length = lead < 0xC2 || lead > 0xF4 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (s.size() >= length) return false;
    std::string probe(s); // the sequences in the middle of the allowed range decide
    const char middle = lead == 0xE0 || lead == 0xF0 ? '\xBF' : '\x80';
    if (probe.size() == 1) probe.push_back(middle);
    probe.append(length - probe.size(), '\x80');
    return utf8_sequence(probe) == length;
}

} // namespace

void append_utf8(std::string& out, char32_t c) {
    const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0 | c >> 6);
        put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        put(0xE0 | c >> 12);
        put(0x80 | (c >> 6 & 0x3F));
        put(0x80 | (c & 0x3F));
    } else {
        put(0xF0 | c >> 18);
        put(0x80 | (c >> 12 & 0x3F));
        put(0x80 | (c >> 6 & 0x3F));
        put(0x80 | (c & 0x3F));
    }
}

char32_t code_point(std::string_view sequence) {
    constexpr std::array<char32_t, 5> kLeadBits{0, 0x7f, 0x1f, 0x0f, 0x07};
    char32_t c = static_cast<unsigned char>(sequence[0]) & kLeadBits[sequence.size()];
    for (size_t i = 1; i < sequence.size(); ++i) {
        c = c << 6 | (static_cast<unsigned char>(sequence[i]) & 0x3fu);
    }
    return c;
}

// Owns ICU's two converters and the pivot between them.
struct CharsetDecoder::Converter {
    UConverter* from = nullptr;
    UConverter* to = nullptr;
    std::array<UChar, 512> pivot;
    UChar* pivot_source = pivot.data();
    UChar* pivot_target = pivot.data();

    Converter() = default;
    Converter(const Converter&) = delete;
    Converter& operator=(const Converter&) = delete;
    ~Converter() {
        ucnv_close(from);
        ucnv_close(to);
    }
    bool open(const std::string& name) {
        use_linked_icu_data();
        UErrorCode status = U_ZERO_ERROR;
        if (ucnv_countAliases(name.c_str(), &status) == 0 || U_FAILURE(status)) return false;
        from = ucnv_open(name.c_str(), &status);
        to = ucnv_open("UTF-8", &status);
        return U_SUCCESS(status);
    }
    void convert(std::string_view bytes, bool flush, std::string& out) {
        std::array<char, 2048> buffer;
        const char* source = bytes.data();
        UErrorCode status = U_BUFFER_OVERFLOW_ERROR;
        while (status == U_BUFFER_OVERFLOW_ERROR) {
            status = U_ZERO_ERROR;
            char* target = buffer.data();
            ucnv_convertEx(to, from, &target, buffer.data() + buffer.size(), &source,
                           bytes.data() + bytes.size(), pivot.data(), &pivot_source, &pivot_target,
                           pivot.data() + pivot.size(), false, flush, &status);
            out.append(buffer.data(), target);
        }
    }
};

CharsetDecoder::CharsetDecoder(std::string_view name) {
    std::string known = to_lower(trim(name));
    for (const Alias& alias : kAliases) {
        if (alias.name == known) known = alias.meant;
    }
    if (known == "utf-8") {
        kind_ = Kind::utf8;
    } else if (known == "windows-1252") {
        kind_ = Kind::windows_1252;
    } else if (is_icu_name(known)) {
        converter_ = std::make_unique<Converter>();
        if (converter_->open(known)) kind_ = Kind::icu;
    }
}

CharsetDecoder::~CharsetDecoder() = default;
CharsetDecoder::CharsetDecoder(CharsetDecoder&&) noexcept = default;
CharsetDecoder& CharsetDecoder::operator=(CharsetDecoder&&) noexcept = default;

void CharsetDecoder::feed(std::string_view bytes, std::string& out) {
    if (kind_ == Kind::icu) return converter_->convert(bytes, false, out);
    if (kind_ != Kind::windows_1252) return feed_utf8(bytes, out);
    if (is_ascii(bytes)) {
        out.append(bytes);
        return;
    }
    for (const char c : bytes)
        append_windows_1252(c, out);
}

void CharsetDecoder::finish(std::string& out) {
    if (kind_ == Kind::icu) return converter_->convert({}, true, out);
    for (const char c : pending_)
        feed_broken(c, out);
    pending_.clear();
}

void CharsetDecoder::feed_broken(char c, std::string& out) const {
    if (kind_ == Kind::utf8) {
        append_utf8(out, 0xFFFD);
    } else {
        append_windows_1252(c, out);
    }
}

void CharsetDecoder::feed_utf8(std::string_view bytes, std::string& out) {
    // An unfinished character of the last chunk is completed byte by byte.
    while (!pending_.empty() && !bytes.empty()) {
        pending_.push_back(bytes.front());
        if (utf8_sequence(pending_) == pending_.size()) {
            out.append(pending_);
            pending_.clear();
            bytes.remove_prefix(1);
        } else if (may_continue(pending_)) {
            bytes.remove_prefix(1);
        } else {
            pending_.pop_back();
            for (const char c : pending_)
                feed_broken(c, out);
            pending_.clear();
        }
    }
    if (is_ascii(bytes)) {
        out.append(bytes);
        return;
    }
    while (!bytes.empty()) {
        size_t good = 0;
        while (good < bytes.size()) {
            if (!is_8bit(bytes[good])) {
                ++good;
                continue;
            }
            const size_t length = utf8_sequence(bytes.substr(good));
            if (length == 0) break;
            good += length;
        }
        out.append(bytes.substr(0, good));
        bytes.remove_prefix(good);
        if (bytes.empty()) return;
        if (bytes.size() < 4 && may_continue(bytes)) {
            pending_ = bytes;
            return;
        }
        feed_broken(bytes.front(), out);
        bytes.remove_prefix(1);
    }
}

std::string to_utf8(std::string_view charset, std::string_view bytes) {
    CharsetDecoder decoder(charset);
    std::string out;
    out.reserve(bytes.size());
    decoder.feed(bytes, out);
    decoder.finish(out);
    return out;
}

std::string guess_utf8(std::string_view bytes) {
    return to_utf8("", bytes);
}

} // namespace tambo::mime

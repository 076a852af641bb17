// See search_text.h.
#include "common/mime/search_text.h"

#include "common/base/text.h"
#include "common/mime/charset.h"
#include "common/mime/content.h"
#include "common/mime/encoded_word.h"
#include "common/mime/icu_data.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <cstring>

namespace tambo::mime {

namespace {

constexpr size_t kPieceBytes = 16 * 1024;

// Compatibility decompositions; nullptr only if ICU's library has lost its data.
const icu::Normalizer2* nfkd() {
    static const icu::Normalizer2* const instance = [] {
        use_linked_icu_data();
        UErrorCode status = U_ZERO_ERROR;
        return icu::Normalizer2::getNFKDInstance(status);
    }();
    return instance;
}

void append_folded_character(std::string& out, char32_t c) {
    const bool unified_ideograph =
        c >= 0x3400 && c < 0xA000; // most of Chinese mail, folds to itself
    if (unified_ideograph) return append_utf8(out, c);
    icu::UnicodeString decomposed;
    const auto code = static_cast<UChar32>(c);
    if (nfkd() == nullptr || !nfkd()->getDecomposition(code, decomposed)) {
        append_utf8(out, static_cast<char32_t>(u_foldCase(code, U_FOLD_CASE_DEFAULT)));
        return;
    }
    for (int32_t i = 0; i < decomposed.length(); i = decomposed.moveIndex32(i, 1)) {
        const UChar32 folded_code = u_foldCase(decomposed.char32At(i), U_FOLD_CASE_DEFAULT);
        append_utf8(out, static_cast<char32_t>(folded_code));
    }
}

// A header's fields as text. false: the sink has enough.
bool send_header(const Header& header, const TextSink& sink) {
    for (const Field& field : header.fields()) {
        const std::string name = field.name.empty() ? "" : cat(field.name, ": ");
        if (!sink(cat(name, field_text(field), "\r\n"))) return false;
    }
    return sink({});
}

bool send_body(const MessageView& message,
               const Part& part,
               std::string_view charset,
               const TextSink& sink) {
    TextDecoder decoder(part.encoding, charset);
    std::string text;
    for (size_t at = part.body.begin; at < part.body.end;) {
        const auto piece = message.run(at).substr(0, std::min(kPieceBytes, part.body.end - at));
        at += piece.size();
        text.clear();
        decoder.feed(piece, text);
        if (!text.empty() && !sink(text)) return false;
    }
    text.clear();
    decoder.finish(text);
    if (!text.empty() && !sink(text)) return false;
    return sink({});
}

} // namespace

void append_folded(std::string& out, std::string_view utf8) {
    while (!utf8.empty()) {
        const auto* end = std::find_if(utf8.begin(), utf8.end(), is_8bit);
        const auto plain = utf8.substr(0, static_cast<size_t>(end - utf8.begin()));
        const auto at = static_cast<std::ptrdiff_t>(out.size());
        out.append(plain);
        std::transform(out.begin() + at, out.end(), out.begin() + at, lower);
        utf8.remove_prefix(plain.size());
        if (utf8.empty()) return;
        const size_t length = utf8_sequence(utf8);
        if (length == 0) {
            out.push_back(utf8.front());
        } else {
            append_folded_character(out, code_point(utf8.substr(0, length)));
        }
        utf8.remove_prefix(std::max<size_t>(1, length));
    }
}

std::string folded(std::string_view utf8) {
    std::string out;
    out.reserve(utf8.size());
    append_folded(out, utf8);
    return out;
}

TextMatcher::TextMatcher(std::string_view needle)
    : needle_(folded(needle)), found_(needle_.empty()) {}

bool TextMatcher::feed(std::string_view utf8) {
    if (found_) return true;
    append_folded(window_, utf8);
    // Small pieces are collected: each byte of the window is looked at twice at most.
    if (window_.size() >= std::max(2 * needle_.size(), kPieceBytes / 4)) search();
    return found_;
}

void TextMatcher::boundary() {
    if (!found_) search();
    window_.clear();
}

void TextMatcher::search() {
    found_ = memmem(window_.data(), window_.size(), needle_.data(), needle_.size()) != nullptr;
    const size_t kept = std::min(window_.size(), needle_.size() - 1);
    window_.erase(0, window_.size() - kept);
}

bool contains_folded(std::string_view utf8, std::string_view needle) {
    TextMatcher matcher(needle);
    matcher.feed(utf8);
    matcher.boundary();
    return matcher.found();
}

std::string field_text(const Field& field) {
    return decode_words(field.value);
}

void search_text(const MessageView& message,
                 const Structure& structure,
                 SearchScope scope,
                 const TextSink& sink) {
    for (size_t i = 0; i < structure.parts.size(); ++i) {
        const Part& part = structure.parts[i];
        std::string scratch;
        const Header header = part_header(message, part, scratch);
        if ((i > 0 || scope == SearchScope::text) && !send_header(header, sink)) return;
        if (part.kind != Part::Kind::leaf || part.opaque || !iequals(part.type, "text")) continue;
        std::string charset;
        if (const Field* field = header.find("Content-Type")) {
            const ContentField content = parse_content_type(field->value);
            if (const Parameter* parameter = content.find("charset"))
                charset = parameter->decoded();
        }
        if (!send_body(message, part, charset, sink)) return;
    }
}

} // namespace tambo::mime

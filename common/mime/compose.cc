// See compose.h.
#include "common/mime/compose.h"

#include "common/base/text.h"
#include "common/mime/charset.h"
#include "common/mime/decode.h"
#include "common/mime/encoded_word.h"
#include "common/mime/idna.h"
#include "common/mime/lexer.h"

#include <algorithm>

namespace tambo::mime {

namespace {

constexpr size_t kColumns = 78;    // RFC 5322 2.1.1
constexpr size_t kLineMax = 998;   // the same, without CR LF
constexpr size_t kNameColumn = 12; // room for "Reply-To: " before a display name

std::string one_line(std::string_view value) {
    std::string line(value);
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
    return line;
}

bool is_phrase(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (is_atext(c) && !is_8bit(c)) || c == ' ';
    });
}

bool fits_as_it_is(std::string_view text) {
    for (const auto line : split(text, '\n')) {
        if (line.size() > kLineMax) return false;
    }
    return is_ascii(text) && text.find('\0') == std::string_view::npos;
}

} // namespace

void append_field(std::string& out, std::string_view name, std::string_view value) {
    const std::string text = one_line(value);
    out.append(name).append(1, ':');
    size_t column = name.size() + 1;
    std::string_view rest = trim(text);
    if (rest.empty()) out.push_back(' ');
    for (bool first = true; !rest.empty(); first = false) {
        // A run of blanks and the word behind it stay together; a line ends before them.
        const size_t word = std::min(rest.find_first_not_of(" \t"), rest.size());
        const size_t end = std::min(rest.find_first_of(" \t", word), rest.size());
        const size_t width = end + (first ? 1 : 0);
        if (!first && column + width > kColumns) {
            out.append("\r\n");
            column = 0;
        }
        if (first) out.push_back(' ');
        out.append(rest.substr(0, end));
        column += width;
        rest.remove_prefix(end);
    }
    out.append("\r\n");
}

void append_text_field(std::string& out, std::string_view name, std::string_view utf8) {
    append_field(out, name, encode_words(one_line(utf8), name.size() + 2));
}

bool append_address_field(std::string& out,
                          std::string_view name,
                          std::span<const Address> addresses) {
    std::string value;
    bool separate = false;
    for (const Address& address : addresses) {
        if (address.kind == Address::Kind::group_end) {
            value += ';';
            separate = true;
            continue;
        }
        if (separate) value += ", ";
        const std::string name_text = decode_words(address.name);
        separate = address.kind == Address::Kind::mailbox;
        if (!separate) {
            const bool plain = is_phrase(name_text) || !is_plain(name_text);
            value += plain ? encode_words(name_text) : quoted(name_text);
            value += ": ";
            continue;
        }
        Address ascii = address;
        if (!is_ascii(address.domain)) ascii.domain = to_a_labels(address.domain).value_or("");
        if (!is_ascii(address.local) || ascii.domain.empty()) return false;
        value += format_address(name_text, ascii.spec());
    }
    append_field(out, name, value);
    return true;
}

std::string format_address(std::string_view utf8_name, std::string_view spec) {
    const std::string name = one_line(utf8_name);
    if (trim(name).empty()) return std::string(spec);
    if (is_phrase(name) || !is_plain(name))
        return cat(encode_words(name, kNameColumn), " <", spec, '>');
    return cat(quoted(name), " <", spec, '>');
}

std::string make_message_id(const Id& id, std::string_view domain) {
    return cat('<', id.text(), '@', domain, '>');
}

std::string make_boundary(const Id& id, std::span<const std::string_view> texts) {
    // Texts that contain even this one, or this one with a number, are not endless: some number
    // does not occur.
    for (uint64_t number = 0;; ++number) {
        std::string boundary = cat("=_", id.text(), '_', number);
        const std::string delimiter = cat("--", boundary);
        const bool used = std::any_of(texts.begin(), texts.end(), [&](std::string_view text) {
            return text.find(delimiter) != std::string_view::npos;
        });
        if (!used) return boundary;
    }
}

std::string text_part(std::string_view utf8) {
    const bool plain = fits_as_it_is(utf8);
    std::string out;
    append_field(out, "Content-Type",
                 plain ? "text/plain; charset=us-ascii" : "text/plain; charset=utf-8");
    append_field(out, "Content-Transfer-Encoding", plain ? "7bit" : "quoted-printable");
    out.append("\r\n");
    const std::string text = guess_utf8(utf8);
    if (!plain) {
        QuotedPrintableEncoder encoder;
        encoder.feed(text, out);
        encoder.finish(out);
    } else {
        for (const char c : text) {
            if (c == '\n') out.push_back('\r');
            if (c != '\r') out.push_back(c);
        }
    }
    if (!out.ends_with('\n')) out.append("\r\n");
    return out;
}

} // namespace tambo::mime

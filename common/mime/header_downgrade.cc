// See header_downgrade.h. Fields without 8-bit bytes are copied byte for byte.
#include "common/mime/header_downgrade.h"

#include "common/base/text.h"
#include "common/mime/address.h"
#include "common/mime/compose.h"
#include "common/mime/content.h"
#include "common/mime/encoded_word.h"
#include "common/mime/lexer.h"

#include <algorithm>
#include <array>

namespace tambo::mime {

namespace {

constexpr std::array<std::string_view, 10> kAddressFields{
    "From", "Sender",      "Reply-To",  "To",        "Cc",
    "Bcc",  "Resent-From", "Resent-To", "Resent-Cc", "Resent-Sender"};

// Fields that programs read as they are, and whose text means nothing once it is encoded.
constexpr std::array<std::string_view, 18> kExactFields{"Received",
                                                        "Return-Path",
                                                        "Delivered-To",
                                                        "Message-ID",
                                                        "Resent-Message-ID",
                                                        "In-Reply-To",
                                                        "References",
                                                        "Date",
                                                        "Content-ID",
                                                        "Content-Location",
                                                        "Content-Transfer-Encoding",
                                                        "DKIM-Signature",
                                                        "ARC-Seal",
                                                        "ARC-Message-Signature",
                                                        "ARC-Authentication-Results",
                                                        "Authentication-Results",
                                                        "Resent-Bcc",
                                                        "Disposition-Notification-To"};

template <size_t N>
bool is_one_of(std::string_view name, const std::array<std::string_view, N>& names) {
    return std::any_of(names.begin(), names.end(),
                       [&](std::string_view known) { return iequals(name, known); });
}

bool is_all_token(std::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return is_token(c); });
}

// Content-Type and Content-Disposition: the parameters with 8-bit bytes become extended ones.
bool convert_content(std::string& out, const Field& field) {
    const bool type = iequals(field.name, "Content-Type");
    const ContentField content =
        type ? parse_content_type(field.value) : parse_content_disposition(field.value);
    if (content.type.empty()) return false;
    std::string value = content.type;
    if (type) value += cat('/', content.subtype);
    for (const Parameter& parameter : content.parameters) {
        if (!is_all_token(parameter.name)) return false;
        if (is_ascii(parameter.value)) {
            value +=
                cat("; ", parameter.name, parameter.extended ? "*=" : "=",
                    is_all_token(parameter.value) || parameter.extended ? parameter.value
                                                                        : quoted(parameter.value));
        } else if (parameter.name == "boundary") {
            return false; // the delimiters cannot be changed with it
        } else {
            value += cat("; ", parameter.name, "*=", encode_parameter(parameter.decoded()));
        }
    }
    append_field(out, field.name, value);
    return true;
}

bool convert_field(std::string& out, const Field& field) {
    if (field.name.empty() || is_one_of(field.name, kExactFields)) return false;
    if (iequals(field.name, "Content-Type") || iequals(field.name, "Content-Disposition")) {
        return convert_content(out, field);
    }
    if (is_one_of(field.name, kAddressFields)) {
        const AddressList list = parse_addresses(field.value);
        // A list that is not read without doubt is not written anew.
        const bool clear = list.well_formed && !list.truncated;
        return clear && append_address_field(out, field.name, list.items);
    }
    append_text_field(out, field.name, decode_words(field.value));
    return true;
}

} // namespace

std::optional<std::string>
change_header(const Header& header, std::string_view header_text, const HeaderChange& change) {
    if (header.truncated()) return std::nullopt;
    const size_t base = header.fields().empty() ? 0 : header.fields().front().range.begin;
    std::string out;
    for (const Field& field : header.fields()) {
        const auto bytes = header_text.substr(field.range.begin - base, field.range.size());
        if (!change.new_encoding.empty() && iequals(field.name, "Content-Transfer-Encoding")) {
            continue;
        }
        if (is_ascii(bytes) || !change.to_ascii) {
            out.append(bytes);
            if (!bytes.ends_with('\n')) out.append("\r\n");
        } else if (field.value.size() + field.name.size() + 8 < bytes.size() ||
                   !convert_field(out, field)) {
            return std::nullopt; // cut by the limit, or without ASCII form
        }
    }
    if (!change.new_encoding.empty()) {
        if (change.message && header.find("MIME-Version") == nullptr) {
            append_field(out, "MIME-Version", "1.0");
        }
        if (!change.default_charset.empty() && header.find("Content-Type") == nullptr) {
            append_field(out, "Content-Type", cat("text/plain; charset=", change.default_charset));
        }
        append_field(out, "Content-Transfer-Encoding", change.new_encoding);
    }
    out.append("\r\n");
    return out;
}

} // namespace tambo::mime

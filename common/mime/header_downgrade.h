// One header section for a next hop that lacks SMTPUTF8 or 8BITMIME: the part of downgrade.h that
// rewrites fields.
#pragma once

#include "common/mime/header.h"

#include <optional>
#include <string>
#include <string_view>

namespace tambo::mime {

struct HeaderChange {
    bool to_ascii = false;            // 8-bit fields are converted
    std::string_view new_encoding;    // replaces Content-Transfer-Encoding; empty: it stays
    std::string_view default_charset; // of a text part without Content-Type, which gets one;
                                      // empty: none is added
    bool message = false;             // a message's own header: MIME-Version is added if missing
};

// The new header section with its blank line; header_text: what header was parsed from. nullopt: a
// field has 8-bit bytes and no ASCII form.
std::optional<std::string>
change_header(const Header& header, std::string_view header_text, const HeaderChange& change);

} // namespace tambo::mime

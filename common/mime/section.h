// What BODY[section] of FETCH means (RFC 9051 6.4.5.1): a section's text to the bytes of a message.
#pragma once

#include "common/mime/structure.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::mime {

struct Section {
    enum class Kind : uint8_t { all, header, header_fields, header_fields_not, text, mime };

    Kind kind = Kind::all;
    std::vector<uint32_t> path;      // part numbers
    std::vector<std::string> fields; // names, of header_fields and header_fields_not
};

// What stands between the brackets: "", "1.2", "TEXT", "1.MIME", "2.HEADER.FIELDS (From "To")".
// Field names as atoms or quoted strings; where they came as literals the IMAP parser fills in
// fields itself. nullopt: the syntax is wrong (the command is BAD).
std::optional<Section> parse_section(std::string_view text);

struct SectionBytes {
    bool exists = false; // false: FETCH answers NIL
    Range range;         // of the message, unless generated
    bool generated = false;
    std::string bytes; // generated: the fields that were asked for
};

SectionBytes
find_section(const MessageView& message, const Structure& structure, const Section& section);

// The bytes of the fields of those names (or of all others), as they stand in header, and the blank
// line if the header has one. header_text: what header was parsed from.
std::string select_fields(const Header& header,
                          std::string_view header_text,
                          std::span<const std::string> names,
                          bool others);

} // namespace tambo::mime

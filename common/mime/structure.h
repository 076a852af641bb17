// The tree of parts of a message (RFC 2046), found in one pass over its lines. Bounded by
// limits::mime_depth_max and mime_parts_max: what lies deeper or behind is one opaque leaf. Only
// offsets are kept; whoever needs a header reads it again with part_header().
#pragma once

#include "common/mime/content.h"
#include "common/mime/header.h"
#include "common/mime/message_view.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::mime {

inline constexpr uint32_t kNoPart = UINT32_MAX;

struct Part {
    enum class Kind : uint8_t {
        leaf,
        multipart, // children are its parts, perhaps none
        message    // message/rfc822 or message/global: its one child is the message in it
    };

    Kind kind = Kind::leaf;
    // A container that was not looked into (too deep, too many parts, or encoded): a leaf of
    // application/octet-stream, whatever its header says.
    bool opaque = false;
    bool has_type = false; // the header has a usable Content-Type; false: type is the default
    Encoding encoding = Encoding::identity;
    unsigned ambiguity = 0;                    // bits of Ambiguity
    std::string type, subtype, encoding_token; // as written, defaults filled in
    Range header;       // with the blank line; of a message's content its whole header
    Range body;         // without the line end that belongs to the delimiter behind it
    uint64_t lines = 0; // of the body; a last line without line end counts
    uint32_t parent = kNoPart, first_child = kNoPart, last_child = kNoPart, next = kNoPart;

    bool is(std::string_view a_type, std::string_view a_subtype) const;
};

struct Structure {
    // In the order of the message; parts[0] is the message itself. Never empty.
    std::vector<Part> parts;
    unsigned ambiguity = 0; // all parts together
    bool truncated = false; // a bound was reached

    const Part& root() const { return parts.front(); }
    // The n-th child, from 1; kNoPart if there is none.
    uint32_t child(uint32_t part, uint32_t n) const;
};

// Linear in the message. message is not referred to afterwards.
Structure parse_structure(const MessageView& message);

// The header of a part (at most limits::header_bytes_max of it is indexed). Refers to message or
// to scratch, which is used where the header lies across the seam.
Header part_header(const MessageView& message, const Part& part, std::string& scratch);

} // namespace tambo::mime

// The data items of FETCH (RFC 3501 6.4.5, "fetch-att"), as values.
#pragma once

#include "common/mime/section.h"
#include "imapd/session/parser.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tambo::imap {

struct Partial {
    uint32_t offset = 0;
    uint32_t count = 0; // not 0
};

struct FetchItem {
    enum class Kind {
        uid,
        flags,
        internal_date,
        rfc822_size,
        envelope,
        body, // BODY: structure without extension data
        body_structure,
        section, // BODY[...] and BODY.PEEK[...]
        rfc822,  // RFC822, RFC822.HEADER, RFC822.TEXT: the old names of sections
        rfc822_header,
        rfc822_text,
    };

    Kind kind = Kind::flags;
    bool peek = true; // false: sets \Seen
    mime::Section section;
    std::optional<Partial> partial;
};

// An item, a macro, or a list of items in parentheses, in the order asked for. Throws Bad.
std::vector<FetchItem> parse_fetch_items(Parser& in);
// How the answer names the item: "BODY[1.HEADER.FIELDS (DATE)]<0>", "UID".
std::string fetch_label(const FetchItem& item);

} // namespace tambo::imap

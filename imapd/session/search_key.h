// The criteria of SEARCH (RFC 3501 6.4.4) as a tree.
#pragma once

#include "imapd/session/parser.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::imap {

struct SearchKey {
    enum class Kind {
        all,
        flag, // number: store::Flag bit
        no_flag,
        keyword, // text
        no_keyword,
        recent,
        old,    // not recent
        fresh,  // NEW: recent and not seen
        before, // date: of INTERNALDATE, days in UTC
        on,
        since,
        sent_before, // date: of the Date field, as written there
        sent_on,
        sent_since,
        header, // field, text; empty text: the field is there
        body,   // text
        text,
        larger, // number
        smaller,
        uid,      // set
        sequence, // set
        negation, // children[0]
        any,      // OR: at least one of children
        every,    // all of children
    };

    Kind kind = Kind::all;
    std::string field; // FROM, TO, CC, BCC and SUBJECT are header keys too
    std::string text;  // in the charset of the program
    uint64_t number = 0;
    UtcTime date;
    SequenceSet set;
    std::vector<SearchKey> children;
};

struct SearchProgram {
    std::string charset; // as written, empty: none given
    SearchKey root;      // kind every
};

// Everything behind "SEARCH ", to the end. Throws Bad; at most limits::imap_search_keys_max keys.
SearchProgram parse_search(Parser& in);

} // namespace tambo::imap

// Address lists of RFC 5322 3.4 with the obsolete forms of 4.4, the UTF-8 of RFC 6532 and the
// errors of real mail. Reading never fails: what is wrong is kept as well as it can be and marked.
// Linear in the input, no recursion.
#pragma once

#include "common/base/limits.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::mime {

struct Address {
    enum class Kind : uint8_t { mailbox, group_begin, group_end };

    Kind kind = Kind::mailbox;
    bool valid = false; // a mailbox whose address RFC 5322 allows, written without errors
    std::string name;   // of the mailbox or group: quoting removed, words joined by one blank,
                        // encoded words as they are; of "a@b (Name)" the comment
    std::string route;  // "@a,@b" of the obsolete form, else empty
    std::string local;  // quoting removed
    std::string domain; // blanks and comments removed; may be a literal "[...]"

    // local@domain with the quotes that local needs.
    std::string spec() const;
};

struct AddressList {
    std::vector<Address> items;
    bool well_formed = true; // false: something had to be guessed or skipped, two readers may
                             // disagree; addresses that are only not valid are not meant
    bool truncated = false;  // more than max
};

// raw: a field's value, folds included. At most max items (limits::mime_addresses_max).
AddressList parse_addresses(std::string_view raw, size_t max = limits::mime_addresses_max);

// Who wrote the message, according to the From fields of its header.
struct Author {
    enum class Verdict : uint8_t {
        ok,         // one field, one mailbox with local part and domain
        missing,    // no field, or nothing in it
        repeated,   // more than one From field
        several,    // more than one mailbox in it (legal with Sender; refused by policy)
        group,      // group syntax (RFC 6854)
        incomplete, // a mailbox without local part or domain ("root"), otherwise clear
        malformed   // anything that two readers may understand differently
    };

    Verdict verdict = Verdict::missing;
    std::vector<Address> mailboxes; // all that were found, also if the verdict is not ok
};

// values: the raw values of all From fields (HeaderScanner::values keeps two, which is enough).
Author check_author(std::span<const std::string_view> values);

} // namespace tambo::mime

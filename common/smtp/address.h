// Mailboxes and paths of the envelope, RFC 5321 4.1.2 and 4.1.3 with RFC 6531 3.3. Pure data: no
// character of an address means anything but itself ('%', '!', '|', '$' included).
#pragma once

#include "common/base/cursor.h"
#include "common/base/result.h"

#include <optional>
#include <string>
#include <string_view>

namespace tambo::smtp {

// One mailbox, both as it was spelt and as it is compared.
struct Address {
    std::string local;      // quotes and backslashes removed; UTF-8
    std::string domain;     // as spelt; empty only for the bare "postmaster"
    std::string local_key;  // folded, NFC
    std::string domain_key; // A-labels in lower case, or a canonical address literal

    // For the wire and for people: quoted where the syntax demands it.
    std::string text() const;
    // The canonical key, itself a mailbox that parse_address() takes: "bob@xn--bcher-kva.example".
    std::string key() const;
    // text() with the domain as A-label: what goes to a server without SMTPUTF8, if local is ASCII.
    std::string ascii_text() const;
    bool is_literal() const { return domain_key.starts_with('['); }
    bool is_bare_postmaster() const { return domain_key.empty(); }
    // RFC 6531 3.4: the SMTPUTF8 parameter is needed to send text().
    bool is_international() const;
};

enum class AddressError { syntax, too_long };

// The whole text as a mailbox "local@domain", or (bare) "postmaster" in any case.
Result<Address, AddressError> parse_address(std::string_view text);

// A reverse-path or forward-path.
struct Path {
    std::optional<Address> address; // nullopt: the null path "<>"
    bool source_route = false;      // "<@a,@b:c@d>" was written; address is c@d

    bool is_null() const { return !address; }
    // text() of the address, empty for the null path.
    std::string text() const { return address ? address->text() : std::string(); }
    std::string key() const { return address ? address->key() : std::string(); }
};

// Takes "<...>" from in and leaves it behind the '>'. RFC 5321 4.1.2. A local part without domain
// is completed with default_domain, unless that is empty.
Result<Path, AddressError> take_path(Cursor& in, std::string_view default_domain = {});

// local in the form that stands before '@': as it is if it is a dot-string, else quoted with the
// fewest quoted-pairs.
std::string quote_local(std::string_view local);

// "bob+lists" in {"bob", "lists"} at the first separator; no separator, or nothing before it: all
// of it in base. Views refer to local.
struct PlusParts {
    std::string_view base;
    std::string_view detail;
    bool has_detail = false;
};
PlusParts split_plus(std::string_view local, char separator = '+');

} // namespace tambo::smtp

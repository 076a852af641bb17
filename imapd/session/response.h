// Pieces of responses: strings in the form that fits their bytes (RFC 3501 4.3). Everything that
// goes to a client as a string passes here, so that no stored byte can end a line.
#pragma once

#include "imapd/session/parser.h"

#include <optional>
#include <string>
#include <string_view>

namespace tambo::imap {

// Quoted if that is possible (7-bit, no CR, LF or NUL, not long), else a literal. NUL bytes, which
// IMAP4rev1 has no form for, become 0x80 (as RFC 3501 leaves to the server: CHAR8 excludes NUL).
void put_string(std::string& out, std::string_view s);
// As an atom if it is one.
void put_astring(std::string& out, std::string_view s);
// NIL for nullopt.
void put_nstring(std::string& out, const std::optional<std::string>& s);
// In modified UTF-7, always as a string: the most compatible form for names.
void put_mailbox(std::string& out, std::string_view utf8);
// "(\Seen \Flagged word)"; recent adds \Recent.
void put_flags(std::string& out, const FlagList& flags, bool recent = false);

} // namespace tambo::imap

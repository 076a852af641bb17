// Building blocks of the messages that the suite writes itself: header fields with folding and
// encoded words, addresses, message ids, bodies. What comes out is 7-bit unless said otherwise, and
// no value can begin a new field: CR, LF and NUL in values become blanks.
#pragma once

#include "common/base/id.h"
#include "common/mime/address.h"

#include <span>
#include <string>
#include <string_view>

namespace tambo::mime {

// "Name: value" CR LF, folded at blanks before column 78 where there are blanks (RFC 5322 2.2.3);
// value is taken as it is.
void append_field(std::string& out, std::string_view name, std::string_view value);
// The same of UTF-8 text, as encoded words where ASCII cannot carry it: Subject and such.
void append_text_field(std::string& out, std::string_view name, std::string_view utf8);
// The same of a list of addresses (groups included). A domain in UTF-8 becomes A-labels; false, and
// nothing appended, if a local part is not ASCII or a domain cannot be converted.
bool append_address_field(std::string& out,
                          std::string_view name,
                          std::span<const Address> addresses);

// "Name <local@domain>", the name quoted or as encoded words as it needs.
std::string format_address(std::string_view utf8_name, std::string_view spec);
// <id@domain>.
std::string make_message_id(const Id& id, std::string_view domain);
// A boundary made of id that does not occur in any of texts.
std::string make_boundary(const Id& id, std::span<const std::string_view> texts);

// The header fields and the content of a text/plain part for UTF-8 text (line ends LF or CR LF):
// as it is if it is ASCII with short lines, else quoted-printable. The blank line is included.
std::string text_part(std::string_view utf8);

} // namespace tambo::mime

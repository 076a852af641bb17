// Domain names and address literals as they stand in envelopes and after EHLO, with the one form in
// which they are compared: A-labels in lower case (RULES.md K1; RFC 5890, UTS #46).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tambo::smtp {

// Letters, digits and inner hyphens in labels of 1 to 63 bytes, 253 in all, no dot at the end.
// RFC 5321 4.1.2, RFC 1035 2.3.4.
bool is_ldh_name(std::string_view name);

// The domain in lower case with A-labels, for an LDH name or a name with U-labels in UTF-8. nullopt
// if it is neither (IDNA rules: UTS #46 non-transitional, with the Bidi, ContextJ and ContextO
// rules).
std::optional<std::string> domain_key(std::string_view domain);

// "192.0.2.1" or "2001:db8::1" in canonical text, or nullopt.
std::optional<std::string> canonical_ip(std::string_view text);

// "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321 4.1.3) in canonical spelling. Tags other than
// IPv6 are refused: none is registered.
std::optional<std::string> address_literal_key(std::string_view literal);
// The address within such a literal, for a literal_key: "2001:db8::1".
std::string literal_address(std::string_view literal_key);

// ICU loads its tables when first used; call this before a sandbox forbids opening files.
void load_unicode_tables();

} // namespace tambo::smtp

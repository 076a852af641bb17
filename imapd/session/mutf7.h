// Mailbox names on the wire: modified UTF-7 (RFC 3501 5.1.3) to UTF-8 and back. Only the one
// canonical form is taken, so that two names on the wire never mean one mailbox.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tambo::imap {

// nullopt for 8-bit bytes, controls (encoded ones too), broken base64, unpaired surrogates and any
// spelling that utf8_to_mutf7 would not produce ("&AC8-" for "/"). Linear.
std::optional<std::string> mutf7_to_utf8(std::string_view name);
// utf8 is well-formed UTF-8.
std::string utf8_to_mutf7(std::string_view utf8);

} // namespace tambo::imap

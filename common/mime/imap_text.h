// ENVELOPE, BODY and BODYSTRUCTURE as the bytes of an IMAP response (RFC 3501 and RFC 9051 7.4.2,
// 7.5.2). The store keeps these bytes, so they are made once, when a message is filed.
#pragma once

#include "common/mime/header.h"
#include "common/mime/structure.h"

#include <string>
#include <string_view>

namespace tambo::mime {

struct ImapForm {
    // false: only ASCII is written, 8-bit headers as encoded words and RFC 2231, internationalized
    // addresses as RFC 6858 2 says; right for every client. true: UTF-8 (RFC 6855, RFC 9051).
    bool utf8 = false;
    // message/global shown with envelope and body like message/rfc822: RFC 9051 only.
    bool rev2 = false;
};

// A string as quoted-string, or as literal where it must be. NUL, which IMAP cannot carry, is left
// out; 8-bit bytes are converted as form says.
void append_imap_string(std::string& out, std::string_view text, const ImapForm& form);

// "(" date subject from ... ")". Long or odd values are literals: the result has line ends inside.
std::string envelope_text(const Header& header, const ImapForm& form = {});
// BODY, resp. BODYSTRUCTURE (with the extension data).
std::string
body_text(const MessageView& message, const Structure& structure, const ImapForm& form = {});
std::string bodystructure_text(const MessageView& message,
                               const Structure& structure,
                               const ImapForm& form = {});

} // namespace tambo::mime

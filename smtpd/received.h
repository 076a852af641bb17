// The prefix that smtpd writes above a message: the Received field (RFC 5321 4.4) and, on
// submission, what the message lacks (RFC 6409 8). It is never a part of the body file.
#pragma once

#include "common/base/id.h"
#include "common/base/time.h"
#include "common/smtp/command.h"

#include <string>
#include <string_view>

namespace tambo::smtpd {

struct TraceFacts {
    std::string_view hostname;
    smtp::HelloName hello;
    std::string client_name;    // verified; empty: unknown
    std::string client_literal; // "[192.0.2.1]"; empty for the local socket
    uint32_t uid = 0;           // of the local socket
    bool extended = true;       // EHLO
    bool smtputf8 = false;
    bool authenticated = false;
    std::string tls_version, tls_cipher; // empty without TLS
    Id qid;
    std::string_view only_recipient; // empty if there is more than one (RFC 5321 7.2)
    UtcTime time;
};

// RFC 3848, RFC 6531 4.3: "ESMTPSA", "UTF8SMTPS", "SMTP".
std::string protocol_name(const TraceFacts& facts);
// The Received field, folded, with its last CRLF.
std::string received_field(const TraceFacts& facts);

} // namespace tambo::smtpd

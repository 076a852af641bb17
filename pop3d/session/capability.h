// What CAPA lists in every state. RFC 2449 (TOP, USER, SASL, RESP-CODES, PIPELINING, UIDL,
// IMPLEMENTATION), RFC 3206 (AUTH-RESP-CODE), RFC 5034 (SASL).
#pragma once

namespace tambo::pop3 {

// Capability lines with their CRLF, without the status line and the final dot. USER and SASL, which
// need TLS, stand in kLoginCapabilities; a session has been logged into, so it lists both.
inline constexpr const char* kCapabilities = "TOP\r\n"
                                             "UIDL\r\n"
                                             "PIPELINING\r\n"
                                             "RESP-CODES\r\n"
                                             "AUTH-RESP-CODE\r\n"
                                             "IMPLEMENTATION Tambo\r\n";
inline constexpr const char* kLoginCapabilities = "USER\r\n"
                                                  "SASL PLAIN LOGIN\r\n";

} // namespace tambo::pop3

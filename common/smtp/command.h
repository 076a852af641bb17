// The lines that an SMTP client sends, as values. Each parser takes the arguments of one verb and
// gives the parsed command or the reply that refuses it; nothing here knows a session.
#pragma once

#include "common/base/result.h"
#include "common/smtp/address.h"
#include "common/smtp/extensions.h"
#include "common/smtp/reply.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::smtp {

// Views refer to the line (without its CRLF). arguments has no blanks at its end: RFC 5321 4.1.1.
struct CommandLine {
    std::string_view verb;
    std::string_view arguments;
};
CommandLine split_command(std::string_view line);

// ---- EHLO, HELO: RFC 5321 4.1.1.1, 4.1.3
struct HelloName {
    enum class Kind { domain, literal, other };
    std::string text; // printable ASCII without blanks, at most limits::smtp_domain_bytes
    Kind kind = Kind::other;
};
// other: a name that is no LDH domain ("my_pc"), taken because so many clients send one; it must
// never be trusted or shown as a domain. nullopt: nothing that may stand in a header or log.
std::optional<HelloName> parse_hello(std::string_view arguments);

// ---- MAIL: RFC 5321 4.1.1.2, RFC 1870, RFC 6152, RFC 6531, RFC 4954 5, RFC 3461 4
enum class BodyType : uint8_t { unspecified, seven_bit, eight_bit_mime };
enum class DsnReturn : uint8_t { unspecified, full, headers };

struct MailCommand {
    Path reverse_path;
    std::optional<uint64_t> size; // SIZE=; UINT64_MAX if it does not fit in 64 bits
    BodyType body = BodyType::unspecified;
    bool smtputf8 = false;
    std::string auth; // AUTH= as mailbox text, "<>" if so given, empty if absent
    DsnReturn ret = DsnReturn::unspecified;
    std::string envid; // xtext as received
};
// A parameter of an extension that is not in announced is refused with 555 5.5.4, as an unknown
// one; a malformed or repeated one with 501 5.5.4; a bad path with 501 5.1.7; a path or value that
// needs SMTPUTF8 without that parameter with 553 5.6.7.
// default_domain completes addresses without domain; empty: they are refused.
Result<MailCommand, ReplyText> parse_mail(std::string_view arguments,
                                          ExtensionSet announced,
                                          std::string_view default_domain = {});

// ---- RCPT: RFC 5321 4.1.1.3, RFC 3461 4
namespace notify { // bits of RcptCommand::notify; 0: the parameter is absent
inline constexpr uint8_t never = 1, success = 2, failure = 4, delay = 8;
}
struct RcptCommand {
    Path forward_path; // never null; bare <postmaster> is possible
    uint8_t notify = 0;
    std::string orcpt; // "rfc822;" xtext, as received
};
// As parse_mail, with 501 5.1.3 for a bad path. smtputf8: the MAIL command had that parameter.
Result<RcptCommand, ReplyText> parse_rcpt(std::string_view arguments,
                                          ExtensionSet announced,
                                          bool smtputf8,
                                          std::string_view default_domain = {});

// ---- AUTH: RFC 4954 4
struct AuthCommand {
    std::string_view mechanism; // refers to the arguments
    std::optional<std::string> initial;
};
Result<AuthCommand, ReplyText> parse_auth(std::string_view arguments);

} // namespace tambo::smtp

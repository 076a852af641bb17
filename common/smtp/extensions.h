// The ESMTP extensions that the suite knows, in one table for both roles: what the server announces
// and when, and what the relay client understands in the reply to its EHLO.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tambo::smtp {

enum class Extension : uint32_t {
    pipelining = 1u << 0,
    size = 1u << 1,
    eight_bit_mime = 1u << 2,
    enhanced_status_codes = 1u << 3,
    smtputf8 = 1u << 4,
    starttls = 1u << 5,
    auth = 1u << 6,
    dsn = 1u << 7,
    chunking = 1u << 8,
};

class ExtensionSet {
  public:
    bool has(Extension e) const { return (bits_ & static_cast<uint32_t>(e)) != 0; }
    void add(Extension e) { bits_ |= static_cast<uint32_t>(e); }
    bool operator==(const ExtensionSet&) const = default;

  private:
    uint32_t bits_ = 0;
};

enum class Announced {
    always,
    before_tls,           // while TLS is possible and not yet on
    submission_under_tls, // where logins are taken and the channel is encrypted
    never,                // not implemented as a server; nothing of it is accepted
};

struct ExtensionRow {
    Extension extension;
    std::string_view keyword;
    Announced when;
};

std::span<const ExtensionRow> extension_table();
// By keyword in any case; nullptr for unknown ones.
const ExtensionRow* find_extension(std::string_view keyword);

// What decides the announcement on one connection.
struct ChannelFacts {
    bool tls_possible = false; // a certificate is there
    bool tls_active = false;
    bool takes_logins = false; // a submission listener
};
ExtensionSet announced(const ChannelFacts& facts);

// The reply text to EHLO: "hostname" and a line for each keyword, separated by '\n' (Reply::text).
// RFC 5321 4.1.1.1; SIZE with its argument (RFC 1870 3), AUTH with the mechanisms (RFC 4954 3).
std::string ehlo_text(std::string_view hostname, ExtensionSet set, uint64_t message_size_max);

} // namespace tambo::smtp

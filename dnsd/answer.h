// What a resolver's message says about one question. Pure. A message with anything malformed in it
// says nothing at all (RULES.md N1); what is more than limits::dns_* is left out (N3).
#pragma once

#include "common/ipc/messages/dnsd.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::dnsd {

inline constexpr int kRcodeFormatError = 1; // RFC 1035 4.1.1
inline constexpr int kRcodeNoName = 3;
inline constexpr int kRcodeNotImplemented = 4;

struct Message {
    int rcode = 0;          // extended by OPT (RFC 6891 6.1.3)
    bool truncated = false; // TC
    bool authentic = false; // AD
    // For rcode 0 and 3; otherwise status temporary. found with no records: there are some, but
    // none of them is usable. secure is left to the caller. ttl_s: how long it may be kept; of a
    // negative answer by RFC 2308 5.
    ipc::DnsAnswer answer;
};

// packet: a whole message. name: the question_name() or reverse_name() that was asked for. nullopt:
// malformed, or not an answer to this question.
std::optional<Message>
parse_message(std::string_view packet, std::string_view name, ipc::DnsType type);

// The TYPE of RFC 1035 3.2.2.
uint16_t type_code(ipc::DnsType type);

} // namespace tambo::dnsd

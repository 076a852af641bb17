// What the store keeps of each message's text, so that FETCH and SEARCH seldom have to read it:
// the one FactsParser of the suite (common/store/message.h).
#pragma once

#include "common/store/message.h"

namespace tambo::imap {

// Raised when parse_facts produces something else than before.
inline constexpr uint32_t kFactsVersion = 1;

// message: prefix and body in one piece. Linear; searchable texts are cut at
// limits::header_field_bytes_max each.
store::MessageFacts parse_facts(std::string_view message);

inline constexpr store::FactsParser kFactsParser{parse_facts, kFactsVersion};

} // namespace tambo::imap

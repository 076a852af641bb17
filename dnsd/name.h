// Names of hosts and domains as dnsd asks and answers them. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tambo::dnsd {

// The name in lower case without final dot, if it has labels of 1 to 63 letters, digits, hyphens
// and underscores, 253 bytes in all (RFC 1035 2.3.4). Other names are never asked for.
std::optional<std::string> question_name(std::string_view name);

// Only letters, digits and inner hyphens (RFC 1123 2.1). name: a question_name().
bool is_host_name(std::string_view name);

// "192.0.2.1" -> "1.2.0.192.in-addr.arpa", "2001:db8::1" -> "1.0....ip6.arpa" (RFC 1035 3.5,
// RFC 3596 2.5). nullopt if address is neither.
std::optional<std::string> reverse_name(std::string_view address);

} // namespace tambo::dnsd

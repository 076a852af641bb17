// What the type of a key cannot say: rules between keys, names, and files that must be readable.
#pragma once

#include "common/conf/load.h"

#include <string>
#include <string_view>
#include <vector>

namespace tambo::conf {

// A host name of LDH labels with at least one dot (RFC 1123 2.1), at most 253 bytes.
bool is_host_name(std::string_view name);

struct Smarthost {
    std::string host; // a host name, or an address literal without brackets
    uint16_t port = 0;
    bool implicit_tls = false;
};

// "host", "host:port", "smtp://host:port", "smtps://host:port". nullopt if malformed.
std::optional<Smarthost> parse_smarthost(std::string_view text);
// Whether the host is this machine: "localhost" or a literal of the loopback networks.
bool is_loopback_host(std::string_view host);

// One finding about a key's value.
struct Finding {
    std::string_view key;
    Severity severity = Severity::error;
    std::string message;
};

std::vector<Finding> validate(const Config& config, const Request& request);

} // namespace tambo::conf

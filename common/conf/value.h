// From what a file or a command line says to the typed field of a Config, and back to text.
#pragma once

#include "common/conf/schema.h"

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tambo::conf {

// A value of a kind that no key takes (a date, a table, a mixed list); holds its name.
struct OtherKind {
    std::string name;
};

// A value as TOML gives it.
using Raw = std::variant<std::string, bool, int64_t, std::vector<std::string>, OtherKind>;

// Sets the key's field in config. Returns why it cannot: wrong type, malformed, out of range.
std::optional<std::string> assign(const Key& key, Config& config, const Raw& value);
// The same from one text, as in `--set KEY=VALUE` and in a key's default: lists are separated by
// commas, "" is the empty list.
std::optional<std::string> assign_text(const Key& key, Config& config, std::string_view text);

// "*:25", "25", "192.0.2.1:25", "[2001:db8::1]:25"; without a port if default_port is not 0.
// nullopt if malformed or if the address is not a literal.
std::optional<Endpoint> parse_endpoint(std::string_view text, int default_port);
// The form that parse_endpoint reads.
std::string format_endpoint(const Endpoint& endpoint);

// The field's value as a TOML value: "\"50M\"", "[\"*:25\"]", "false".
std::string format_value(const Key& key, const Config& config);

// A string as TOML writes it, quotes included.
std::string toml_string(std::string_view text);

} // namespace tambo::conf

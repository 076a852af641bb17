// The one table of configuration keys: name, type, default, range, when a change takes effect, and
// what it is for. The loader, `tambo config show --defaults` and the key section of tambo.toml(5)
// all come from it: a new key is a row here and a field in config.h.
#pragma once

#include "common/conf/config.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tambo::conf {

enum class Type {
    text,      // a string
    path,      // an absolute path, "" for none
    boolean,   // true or false
    integer,   // a number
    duration,  // "5m", "30s"; a bare number counts seconds
    size,      // "50M", "1G"; a bare number counts bytes
    paths,     // one path or a list of them
    endpoints, // "*:25", "192.0.2.1:25", "[::1]:25", one or a list
};

// When a changed value takes effect.
enum class Apply { reload, restart };

// The field of a Config that a key fills.
using Slot =
    std::variant<std::string*, bool*, int64_t*, std::vector<std::string>*, std::vector<Endpoint>*>;

struct Key {
    std::string_view name; // "smtp.message_size_max"
    Type type;
    std::string_view fallback; // the default, in the form that --set takes
    int64_t min, max;          // of integer, duration (ms) and size (bytes); else 0, 0
    Apply apply;
    std::string_view help; // one sentence or more, plain text
    Slot (*slot)(Config&);
    std::string_view choices = {}; // for text: "a|b|c"; empty: anything
    int default_port = 0;          // for endpoints: the port if the text names none; 0: required
};

// In the order of the manual page.
std::span<const Key> keys();
// nullptr if there is no such key.
const Key* find_key(std::string_view name);
// The name of a key that was probably meant, or "" if none is near.
std::string_view nearest_key(std::string_view name);

} // namespace tambo::conf

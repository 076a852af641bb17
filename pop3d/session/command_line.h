// A command line of POP3, taken apart. Pure; the views refer to the line. RFC 1939 3.
#pragma once

#include "common/base/text.h"

#include <string_view>

namespace tambo::pop3 {

struct CommandLine {
    std::string_view name; // as it came; commands are compared in any case
    std::string_view rest; // behind the first space, verbatim (a password may hold spaces)
};

inline CommandLine parse_command(std::string_view line) {
    const auto [name, rest] = split_once(line, ' ');
    return {name, rest};
}

} // namespace tambo::pop3

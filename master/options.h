// master's command line.
#pragma once

#include "common/base/result.h"

#include <string>
#include <vector>

namespace tambo::master {

struct Options {
    std::string config_file;           // absolute
    std::vector<std::string> settings; // KEY=VALUE
    std::string libexec;               // where the daemons are; default: beside master
    bool foreground = false;           // events on standard error too
    int ready_fd = -1;                 // where one JSON line goes once everything serves
    bool check = false;                // look whether it could start, and end
    enum class Print { nothing, wiring, keys, help, version } print = Print::nothing;
};

// Default of config_file: $TAMBO_CONFIG, else /etc/tambo/tambo.toml. The error is one line.
Result<Options> parse_options(const std::vector<std::string>& arguments);
std::string usage();

} // namespace tambo::master

#include "master/options.h"

#include "common/base/text.h"

#include <cstdlib>
#include <filesystem>

namespace tambo::master {

namespace {

std::string absolute(const std::string& path) {
    std::error_code error; // an impossible path stays as it is and fails where it is opened
    const auto full = std::filesystem::absolute(path, error);
    return error ? path : full.lexically_normal().string();
}

// Takes an option that needs a value; an empty text if all is well.
std::string take(Options& options, const std::string& name, const std::string& value) {
    if (name == "--config") {
        options.config_file = absolute(value);
    } else if (name == "--dir") {
        options.settings.push_back("directory=" + absolute(value));
    } else if (name == "--set") {
        options.settings.push_back(value);
    } else if (name == "--libexec") {
        options.libexec = absolute(value);
    } else if (name == "--ready-fd") {
        const auto fd = parse_uint(value, 1023);
        if (!fd) return cat("--ready-fd takes a descriptor number, not \"", escape(value), '"');
        options.ready_fd = static_cast<int>(*fd);
    } else {
        return cat("unknown option ", escape(name));
    }
    return "";
}

bool take_flag(Options& options, const std::string& name) {
    using Print = Options::Print;
    if (name == "--foreground") {
        options.foreground = true;
    } else if (name == "--check") {
        options.check = true;
    } else if (name == "--print-wiring") {
        options.print = Print::wiring;
    } else if (name == "--print-keys") {
        options.print = Print::keys;
    } else if (name == "--help") {
        options.print = Print::help;
    } else if (name == "--version") {
        options.print = Print::version;
    } else {
        return false;
    }
    return true;
}

} // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments) {
    Options options;
    const char* named = std::getenv("TAMBO_CONFIG");
    options.config_file = absolute(named ? named : "/etc/tambo/tambo.toml");
    for (size_t i = 0; i < arguments.size(); ++i) {
        std::string name = arguments[i], value;
        if (take_flag(options, name)) continue;
        // "--name=value" and "--name value"; the value of --set has a sign of its own.
        if (const auto sign = name.find('='); sign != std::string::npos && name.starts_with("--")) {
            value = name.substr(sign + 1);
            name.resize(sign);
        } else if (name.starts_with("--") && i + 1 < arguments.size()) {
            value = arguments[++i];
        } else if (name.starts_with("--")) {
            return Err{cat("unknown option, or one without its value: ", escape(name))};
        } else {
            return Err{cat("unexpected ", escape(name))};
        }
        if (auto wrong = take(options, name, value); !wrong.empty()) return Err{std::move(wrong)};
    }
    return options;
}

std::string usage() {
    return "usage: master [--config FILE] [--dir DIRECTORY] [--set KEY=VALUE]... [--foreground]\n"
           "              [--ready-fd N] [--libexec DIRECTORY] [--check]\n"
           "       master --print-wiring | --print-keys | --version\n";
}

} // namespace tambo::master

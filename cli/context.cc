#include "cli/context.h"

#include "cli/offline.h"
#include "common/base/text.h"
#include "common/ipc/admin.h"

#include <sysexits.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <system_error>

namespace tambo::cli {

namespace {
constexpr const char* kDefaultConfig = "/etc/tambo/tambo.toml";
}

void Context::load() {
    if (is_loaded_) return;
    if (config_file.empty()) {
        const char* named = std::getenv("TAMBO_CONFIG");
        config_file = named != nullptr ? named : kDefaultConfig;
    }
    conf::Request request;
    request.file = config_file;
    loaded_ = conf::load(request);
    is_loaded_ = true;
}

void Context::fail_to_load() const {
    if (::access(config_file.c_str(), F_OK) != 0) {
        throw Failure{EX_NOINPUT, cat("no configuration ", config_file,
                                      "; tambo quickstart DOMAIN ADDRESS makes one")};
    }
    throw Failure{EX_CONFIG, loaded_.report()};
}

const conf::Config& Context::config() {
    load();
    if (!loaded_.config) fail_to_load();
    return *loaded_.config;
}

const conf::Config& Context::located() {
    load();
    if (!loaded_.located) fail_to_load();
    return *loaded_.located;
}

std::string Context::control_socket(const std::string& daemon) {
    return cat(located().directory, "/control/", daemon, ".sock");
}

std::string Context::submit_socket() {
    return cat(located().directory, "/submit.sock");
}

std::string Context::drop_directory() {
    return cat(located().directory, "/drop");
}

bool Context::is_running() {
    ipc::AdminRequest request;
    request.verb = "status";
    return ipc::ask_daemon(control_socket("master"), request).has_value();
}

ipc::AdminAnswer Context::ask_any(const std::string& daemon, ipc::AdminRequest request) {
    try {
        if (auto answer = ipc::ask_daemon(control_socket(daemon), request)) {
            return std::move(*answer);
        }
    } catch (const std::system_error& error) {
        throw Failure{EX_NOPERM,
                      cat(error.what(), "; root and members of tambo-admin may use this command")};
    }
    if (can_run_offline(located(), daemon)) {
        return ask_offline(config(), daemon, std::move(request));
    }
    throw Failure{EX_UNAVAILABLE,
                  cat(daemon, " does not answer at ", control_socket(daemon), "; is tambo running?",
                      has_systemd() ? " (systemctl status tambo)" : "")};
}

ipc::AdminAnswer Context::ask(const std::string& daemon,
                              const std::string& verb,
                              std::vector<std::string> words,
                              std::string secret) {
    ipc::AdminRequest request;
    request.verb = verb;
    request.words = std::move(words);
    request.secret = std::move(secret);
    auto answer = ask_any(daemon, std::move(request));
    if (!answer.error.empty()) throw Failure{answer.exit_code, answer.error};
    return answer;
}

bool has_systemd() {
    return ::access("/run/systemd/system", F_OK) == 0;
}

std::string daemon_path(const std::string& daemon) {
    char self[PATH_MAX] = {};
    const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self - 1);
    if (length > 0) {
        std::string beside(self, static_cast<size_t>(length));
        beside.resize(beside.rfind('/') + 1);
        beside += daemon;
        if (::access(beside.c_str(), X_OK) == 0) return beside;
    }
    return cat("/usr/lib/tambo/", daemon);
}

} // namespace tambo::cli

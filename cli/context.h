// What every command needs: which suite is meant, how to ask its daemons, how to print.
#pragma once

#include "common/conf/load.h"
#include "common/ipc/messages/admin.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::cli {

enum class Format { automatic, table, tsv, json };

// A command that cannot go on: sysexits code and "what, where, what to do".
struct Failure {
    int exit_code;
    std::string text;
};

class Context {
  public:
    std::string config_file; // --config, else TAMBO_CONFIG, else /etc/tambo/tambo.toml
    Format format = Format::automatic;
    bool quiet = false;

    // Reads the configuration once. Throws Failure EX_CONFIG with all problems.
    const conf::Config& config();
    // What is needed to find the suite and name it: also while the file has mistakes elsewhere, or
    // names keys that only root can read.
    const conf::Config& located();
    // "<directory>/control/<daemon>.sock".
    std::string control_socket(const std::string& daemon);
    std::string submit_socket();
    std::string drop_directory();

    // Asks the running daemon; when the suite is down and the daemon's data can be used without it
    // (authd), takes the suite lock and runs the same executable for this one question. Throws
    // Failure: EX_UNAVAILABLE when nobody answers, EX_NOPERM, and the daemon's own refusal.
    ipc::AdminAnswer ask(const std::string& daemon,
                         const std::string& verb,
                         std::vector<std::string> words = {},
                         std::string secret = {});
    // The same, but gives the answer back whatever its exit code.
    ipc::AdminAnswer ask_any(const std::string& daemon, ipc::AdminRequest request);
    bool is_running();

  private:
    void load();
    [[noreturn]] void fail_to_load() const;

    conf::Loaded loaded_;
    bool is_loaded_ = false;
};

// systemd(1) runs this machine's services.
bool has_systemd();

// Directory of our own executable's daemons: beside it (build tree) or /usr/lib/tambo.
std::string daemon_path(const std::string& daemon);

} // namespace tambo::cli

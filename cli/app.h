// The command tree of tambo(8). One function per noun adds its verbs to the parser and says what to
// run; cli/commands_*.cc.
#pragma once

#include "cli/context.h"

#include <functional>
#include <string>

namespace CLI {
class App;
}

namespace tambo::cli {

// What the chosen command does; its result is the exit status.
using Action = std::function<int()>;

// Each adds its commands to app; a parsed command sets action. context outlives the parsing.
void add_account_commands(CLI::App& app, Context& context, Action& action);
// tambo user rm, tambo user disable, tambo postmaster: who gets the mail for postmaster and root.
void add_postmaster_commands(CLI::App& app, CLI::App& user, Context& context, Action& action);
void add_queue_commands(CLI::App& app, Context& context, Action& action);
void add_config_commands(CLI::App& app, Context& context, Action& action);
void add_suite_commands(CLI::App& app, Context& context, Action& action);
void add_certificate_command(CLI::App& app, Context& context, Action& action);
void add_quickstart_command(CLI::App& app, Context& context, Action& action);

// Asks one daemon and prints its rows and its error; the exit status.
int relay_answer(Context& context, const std::string& daemon, ipc::AdminRequest request);

// What it means that the postmaster is disabled, and how to mend it.
std::string postmaster_refusal(const std::string& address);

// Warnings for a postmaster that is disabled and for targets of aliases that are not there, some of
// them; for what aliases(5) has that is left out or leads nowhere. They say nothing while the suite
// is down, or to who may not ask it.
void warn_of_lost_mail(Context& context);
void warn_of_aliases_file(Context& context);

// Parses and runs; prints errors. Returns the exit status (sysexits(3)).
int run_tambo(int argc, char** argv);

} // namespace tambo::cli

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
void add_queue_commands(CLI::App& app, Context& context, Action& action);
void add_config_commands(CLI::App& app, Context& context, Action& action);
void add_suite_commands(CLI::App& app, Context& context, Action& action);
void add_certificate_command(CLI::App& app, Context& context, Action& action);
void add_quickstart_command(CLI::App& app, Context& context, Action& action);

// A warning for each target of an alias that is not there, some of them; says nothing while the
// suite is down, or to who may not ask it.
void warn_of_dangling_aliases(Context& context);

// Parses and runs; prints errors. Returns the exit status (sysexits(3)).
int run_tambo(int argc, char** argv);

} // namespace tambo::cli

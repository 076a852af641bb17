#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/app.h"

#include "cli/output.h"
#include "cli/usage.h"

#include <sysexits.h>

#include <algorithm>

namespace tambo::cli {

int run_tambo(int argc, char** argv) {
    CLI::App app{"tambo: a mail server. See tambo(8).", "tambo"};
    Context context;
    Action action;
    bool json = false, tsv = false;
    app.add_option("--config", context.config_file, "configuration file")->type_name("FILE");
    app.add_flag("--json", json, "one JSON object per line");
    app.add_flag("--tsv", tsv, "tab-separated values without header");
    app.fallthrough();
    app.require_subcommand(1);
    add_quickstart_command(app, context, action);
    add_account_commands(app, context, action);
    add_queue_commands(app, context, action);
    add_suite_commands(app, context, action);
    add_config_commands(app, context, action);
    add_certificate_command(app, context, action);
    try {
        app.parse(argc, argv);
        if (json) context.format = Format::json;
        if (tsv) context.format = Format::tsv;
        return action ? action() : EX_USAGE;
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error); // --help
        const auto count = static_cast<size_t>(std::max(argc, 1));
        complain(explain_usage(app, std::span<char* const>(argv, count).subspan(1), error));
        return EX_USAGE;
    } catch (const Failure& failure) {
        complain(failure.text);
        return failure.exit_code;
    }
}

} // namespace tambo::cli

#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/app.h"

#include "cli/output.h"

#include <sysexits.h>

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
        const int status = app.exit(error);
        return status == 0 ? 0 : EX_USAGE;
    } catch (const Failure& failure) {
        complain(failure.text);
        return failure.exit_code;
    }
}

} // namespace tambo::cli

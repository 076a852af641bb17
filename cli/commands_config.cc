// tambo config.
#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/app.h"
#include "cli/output.h"

#include "common/base/text.h"
#include "common/conf/describe.h"
#include "common/conf/load.h"
#include "common/conf/schema.h"
#include "common/crypto/certificate.h"

#include <sysexits.h>

#include <cstdlib>
#include <memory>

namespace tambo::cli {

namespace {

struct Options {
    std::string file, key;
    bool defaults = false, sources = false;
};

conf::Loaded load_file(Context& context, const std::string& file) {
    conf::Request request;
    request.file = file;
    if (request.file.empty()) request.file = context.config_file;
    if (request.file.empty()) {
        const char* named = std::getenv("TAMBO_CONFIG");
        request.file = named != nullptr ? named : "/etc/tambo/tambo.toml";
    }
    request.check_certificate = check_server_certificate;
    return conf::load(request);
}

int check_config(Context& context, const Options& options) {
    const conf::Loaded loaded = load_file(context, options.file);
    const std::string report = loaded.report();
    std::fputs(report.c_str(), stderr);
    if (!loaded.config) return EX_CONFIG;
    if (options.file.empty()) {
        warn_of_lost_mail(context);
        warn_of_aliases_file(context);
    }
    confirm("the configuration has no errors", context.format);
    return 0;
}

int show_config(Context& context, const Options& options) {
    if (options.defaults) {
        std::fputs(conf::show_defaults().c_str(), stdout);
        return 0;
    }
    const conf::Loaded loaded = load_file(context, options.file);
    if (!loaded.config) throw Failure{EX_CONFIG, loaded.report()};
    std::fputs(conf::show(loaded, options.sources).c_str(), stdout);
    return 0;
}

int explain_key(const Options& options) {
    const std::string text = conf::explain(options.key);
    if (text.empty()) {
        const auto near = conf::nearest_key(options.key);
        throw Failure{EX_USAGE, cat("no configuration key ", escape(options.key),
                                    near.empty() ? "" : "; did you mean ", near, "?")};
    }
    std::fputs(text.c_str(), stdout);
    return 0;
}

} // namespace

void add_config_commands(CLI::App& app, Context& context, Action& action) {
    CLI::App* config = app.add_subcommand("config", "the configuration")->require_subcommand(1);
    auto options = std::make_shared<Options>();

    CLI::App* check = config->add_subcommand("check", "find all errors of a configuration");
    check->add_option("FILE", options->file);
    check->callback(
        [&, options] { action = [&context, options] { return check_config(context, *options); }; });

    CLI::App* show = config->add_subcommand("show", "the values in effect");
    show->add_flag("--defaults", options->defaults, "every key with its default and its help");
    show->add_flag("--sources", options->sources, "where each value was set");
    show->callback(
        [&, options] { action = [&context, options] { return show_config(context, *options); }; });

    CLI::App* explain = config->add_subcommand("explain", "one key: type, range, default, help");
    explain->add_option("KEY", options->key)->required();
    explain->callback([&, options] { action = [options] { return explain_key(*options); }; });
}

} // namespace tambo::cli

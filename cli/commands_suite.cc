// tambo status, reload, trace, fsck, version.
#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/app.h"
#include "cli/output.h"

#include "common/base/text.h"

#include <memory>

namespace tambo::cli {

namespace {

// Asks one daemon and prints its rows and its error.
int relay_answer(Context& context, const std::string& daemon, ipc::AdminRequest request) {
    const auto answer = context.ask_any(daemon, std::move(request));
    print_answer(answer, context.format);
    if (!answer.error.empty()) complain(answer.error);
    return answer.exit_code;
}

struct TraceOptions {
    std::string what, since;
};

struct FsckOptions {
    std::vector<std::string> addresses;
    bool repair = false;
};

void add_fsck(CLI::App& app, Context& context, Action& action) {
    auto options = std::make_shared<FsckOptions>();
    CLI::App* fsck = app.add_subcommand("fsck", "check the mail store of accounts");
    fsck->add_option("ADDRESS", options->addresses, "accounts; all if none is named");
    fsck->add_flag("--repair", options->repair, "mend what can be mended");
    fsck->callback([&, options] {
        action = [&context, options] {
            std::vector<std::string> addresses = options->addresses;
            if (addresses.empty()) {
                for (const auto& row : context.ask("authd", "user.list").rows) {
                    addresses.push_back(row.at(0));
                }
            }
            int status = 0;
            for (const auto& address : addresses) {
                const auto account = context.ask("authd", "user.show", {address});
                std::vector<std::string> words{account.rows.at(0).at(5), address};
                if (options->repair) words.emplace_back("repair");
                const int one = relay_answer(context, "keeper", {"fsck", words, {}, {}});
                if (one != 0) status = one;
            }
            return status;
        };
    });
}

} // namespace

void add_suite_commands(CLI::App& app, Context& context, Action& action) {
    CLI::App* status = app.add_subcommand("status", "the processes of the running suite");
    status->callback([&] {
        action = [&context] {
            const int result = relay_answer(context, "master", {"status", {}, {}, {}});
            warn_of_dangling_aliases(context);
            return result;
        };
    });

    CLI::App* reload = app.add_subcommand("reload", "take a changed configuration into use");
    reload->callback([&] {
        action = [&context] { return relay_answer(context, "master", {"reload", {}, {}, {}}); };
    });

    auto trace_options = std::make_shared<TraceOptions>();
    CLI::App* trace = app.add_subcommand("trace", "what happened to a message");
    trace->add_option("WHAT", trace_options->what, "queue id, session or address")->required();
    trace->add_option("--since", trace_options->since, "how far back, e.g. 2h");
    trace->callback([&, trace_options] {
        action = [&context, trace_options] {
            std::vector<std::string> words{trace_options->what};
            if (!trace_options->since.empty()) words.push_back("since=" + trace_options->since);
            return relay_answer(context, "logd", {"trace", words, {}, {}});
        };
    });

    add_fsck(app, context, action);

    CLI::App* version = app.add_subcommand("version", "print the version");
    version->callback([&] {
        action = [] {
            std::puts("tambo " TAMBO_VERSION);
            return 0;
        };
    });
}

} // namespace tambo::cli

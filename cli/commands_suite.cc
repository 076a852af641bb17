// tambo status, reload, restart, stop, trace, fsck, version.
#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/app.h"
#include "cli/output.h"

#include "common/base/text.h"
#include "common/ipc/admin.h"

#include <sysexits.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

namespace tambo::cli {

int relay_answer(Context& context, const std::string& daemon, ipc::AdminRequest request) {
    const auto answer = context.ask_any(daemon, std::move(request));
    print_answer(answer, context.format);
    if (!answer.error.empty()) complain(answer.error);
    return answer.exit_code;
}

namespace {

constexpr auto kRestartWithin = std::chrono::seconds(120);
constexpr auto kStopWithin = std::chrono::seconds(120);

// False if the time was up first.
bool wait_until(std::chrono::seconds limit, const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return true;
}

std::optional<ipc::AdminAnswer> status_now(Context& context) {
    return ipc::ask_daemon(context.control_socket("master"), {"status", {}, {}, {}});
}

std::string value_of(const ipc::AdminAnswer& answer, size_t row, std::string_view column) {
    const auto found = std::ranges::find(answer.columns, column);
    const auto index = static_cast<size_t>(found - answer.columns.begin());
    if (row >= answer.rows.size() || index >= answer.rows[row].size()) return "";
    return answer.rows[row][index];
}

// Another start than the one before, and nobody is still missing.
bool runs_anew(const ipc::AdminAnswer& status, const std::string& started_before) {
    if (value_of(status, 0, "started") == started_before) return false;
    for (size_t row = 0; row < status.rows.size(); ++row) {
        const std::string state = value_of(status, row, "state");
        if (state != "running" && state != "retired") return false;
    }
    return true;
}

int restart_suite(Context& context) {
    const auto before = context.ask("master", "status");
    const std::string started = value_of(before, 0, "started");
    const int status = relay_answer(context, "master", {"restart", {}, {}, {}});
    if (status != 0) return status;
    const bool done = wait_until(kRestartWithin, [&] {
        const auto now = status_now(context);
        return now && runs_anew(*now, started);
    });
    if (!done)
        throw Failure{EX_TEMPFAIL, "not everything runs again yet; tambo status, and the log"};
    confirm("tambo runs anew", context.format);
    return 0;
}

int stop_suite(Context& context) {
    const int status = relay_answer(context, "master", {"stop", {}, {}, {}});
    if (status != 0) return status;
    // Master lets go of its socket at its very end.
    if (!wait_until(kStopWithin, [&] { return !context.is_running(); })) {
        throw Failure{EX_TEMPFAIL, "it has not ended yet"};
    }
    confirm("tambo has ended", context.format);
    return 0;
}

// Of a configuration in which not even the place of the suite can be read, master is not asked.
int reload_suite(Context& context) {
    try {
        static_cast<void>(context.located());
    } catch (const Failure& failure) {
        if (failure.exit_code != EX_CONFIG) throw;
        throw Failure{EX_CONFIG, cat(failure.text, failure.text.ends_with('\n') ? "" : "\n",
                                     "the running configuration is unchanged")};
    }
    const auto answer = context.ask_any("master", {"reload", {}, {}, {}});
    if (!answer.error.empty()) {
        complain(answer.error);
        return answer.exit_code;
    }
    if (!is_for_a_person(context.format)) {
        print_answer(answer, context.format);
        return answer.exit_code;
    }
    confirm(cat("configuration taken into use, generation ", value_of(answer, 0, "generation")),
            context.format);
    const std::string notes = value_of(answer, 0, "note");
    for (const auto note : split(notes, '\n'))
        if (!note.empty()) confirm(note, context.format);
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
            warn_of_lost_mail(context);
            return result;
        };
    });

    CLI::App* reload = app.add_subcommand("reload", "take a changed configuration into use");
    reload->callback([&] { action = [&context] { return reload_suite(context); }; });

    CLI::App* restart =
        app.add_subcommand("restart", "take the installed programs into use; ports stay open");
    restart->callback([&] { action = [&context] { return restart_suite(context); }; });

    CLI::App* stop = app.add_subcommand("stop", "end the running suite");
    stop->callback([&] { action = [&context] { return stop_suite(context); }; });

    auto trace_options = std::make_shared<TraceOptions>();
    CLI::App* trace = app.add_subcommand("trace", "what happened to a message");
    trace->add_option("QUEUE_ID|SESSION|ADDRESS", trace_options->what, "what to follow")
        ->required();
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

// tambo queue, and mailq(1).
#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/app.h"
#include "cli/output.h"

#include "common/base/text.h"

#include <array>
#include <memory>

namespace tambo::cli {

namespace {

struct Filter {
    std::vector<std::string> ids;
    std::string from, to, domain, status, older;

    std::vector<std::string> words() const {
        std::vector<std::string> words = ids;
        const std::array<std::pair<const char*, const std::string*>, 5> options{
            {{"from=", &from},
             {"to=", &to},
             {"domain=", &domain},
             {"status=", &status},
             {"older=", &older}}};
        for (const auto& [name, value] : options) {
            if (!value->empty()) words.push_back(name + *value);
        }
        return words;
    }
};

void add_verb(CLI::App& queue,
              Context& context,
              Action& action,
              const std::string& name,
              const std::string& help,
              bool needs_id) {
    auto filter = std::make_shared<Filter>();
    CLI::App* command = queue.add_subcommand(name, help);
    auto* ids = command->add_option("QUEUE_ID", filter->ids, "queue ids");
    if (needs_id) ids->required();
    command->add_option("--from", filter->from, "reverse-path");
    command->add_option("--to", filter->to, "recipient");
    command->add_option("--domain", filter->domain, "domain of a recipient");
    command->add_option("--status", filter->status, "queued, deferred, held, lost, delivered");
    command->add_option("--older", filter->older, "older than, e.g. 2h");
    command->callback([&context, &action, name, filter] {
        action = [&context, name, filter] {
            const auto answer =
                context.ask_any("queued", {"queue." + name, filter->words(), {}, {}});
            if (name == "cat") {
                for (const auto& row : answer.rows) {
                    for (const auto& text : row)
                        std::fwrite(text.data(), 1, text.size(), stdout);
                }
            } else {
                print_answer(answer, context.format);
            }
            if (name == "list" && answer.error.empty() && answer.rows.empty()) {
                confirm(filter->words().empty() ? "nothing waits" : "no such message waits",
                        context.format);
            }
            if (name == "flush" && answer.error.empty() && filter->words().empty()) {
                confirm("what waits is tried now", context.format);
            }
            if (!answer.error.empty()) complain(answer.error);
            return static_cast<int>(answer.exit_code);
        };
    });
}

} // namespace

void add_queue_commands(CLI::App& app, Context& context, Action& action) {
    CLI::App* queue = app.add_subcommand("queue", "messages that wait")->require_subcommand(1);
    add_verb(*queue, context, action, "list", "list messages and recipients", false);
    add_verb(*queue, context, action, "show", "one message, recipient by recipient", true);
    add_verb(*queue, context, action, "cat", "the text of a message", true);
    add_verb(*queue, context, action, "hold", "keep messages until they are released", false);
    add_verb(*queue, context, action, "release", "undo hold", false);
    add_verb(*queue, context, action, "retry", "try messages now", false);
    add_verb(*queue, context, action, "drop", "remove messages without a bounce", false);
    add_verb(*queue, context, action, "flush", "try everything that waits now", false);
}

} // namespace tambo::cli

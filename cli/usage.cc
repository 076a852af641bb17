#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/usage.h"

#include "common/base/edit_distance.h"
#include "common/base/text.h"

namespace tambo::cli {

namespace {

constexpr size_t kWordMax = 40; // nobody means a command by more
constexpr size_t kEditsMax = 2;

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    return app.get_subcommands([](const CLI::App*) { return true; });
}

const CLI::App* find_command(const CLI::App& app, std::string_view word) {
    for (const auto* command : commands_of(app)) {
        if (command->get_name() == word) return command;
    }
    return nullptr;
}

std::string names_of(const CLI::App& app) {
    std::string names;
    for (const auto* command : commands_of(app))
        names += cat(names.empty() ? "" : ", ", command->get_name());
    return names;
}

// Empty: none is near.
std::string nearest(const CLI::App& app, std::string_view word) {
    std::string best;
    size_t best_distance = kEditsMax + 1;
    for (const auto* command : commands_of(app)) {
        const std::string& name = command->get_name();
        const size_t distance =
            word.size() > kWordMax ? best_distance : edit_distance(to_lower(word), name);
        // "rm" is two edits away from every word of two letters.
        if (distance >= best_distance || distance >= name.size()) continue;
        best = name;
        best_distance = distance;
    }
    return best;
}

} // namespace

std::string
explain_usage(const CLI::App& app, std::span<char* const> words, const CLI::ParseError& error) {
    const CLI::App* at = &app;
    std::string path = app.get_name();
    for (size_t i = 0; i < words.size() && !commands_of(*at).empty(); ++i) {
        const std::string_view word = words[i];
        if (word == "--config") ++i;
        if (word.starts_with('-')) continue;
        const CLI::App* next = find_command(*at, word);
        if (next == nullptr) {
            const std::string near = nearest(*at, word);
            return cat("no command \"", escape(word), "\"", at == &app ? "" : cat(" of ", path),
                       near.empty() ? cat("; there are ", names_of(*at))
                                    : cat("; did you mean \"", near, "\"?"));
        }
        at = next;
        path += cat(' ', word);
    }
    if (!commands_of(*at).empty()) {
        return cat(path, " takes one of these: ", names_of(*at), "; ", path, " --help");
    }
    return cat(path, ": ", error.what(), "; ", path, " --help");
}

} // namespace tambo::cli

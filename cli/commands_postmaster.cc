// tambo postmaster, and what ends an account: the host's own mail must not lose its reader unseen.
#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/app.h"
#include "cli/output.h"

#include "common/base/text.h"

#include <memory>

namespace tambo::cli {

std::string postmaster_refusal(const std::string& address) {
    return cat("the postmaster, ", address,
               ", is disabled: mail to root and other names of this host is refused; tambo "
               "postmaster ADDRESS names another account, tambo user enable ",
               address, " undoes it");
}

namespace {

struct Postmaster {
    std::string address; // empty: there is no account
    bool disabled = false;
};

Postmaster postmaster_of(Context& context) {
    const auto answer = context.ask("authd", "postmaster");
    if (answer.rows.empty()) return {};
    const auto& row = answer.rows.front();
    return {row.at(0), row.size() > 1 && row[1] == "disabled"};
}

void tell_of_change(const Postmaster& before, const Postmaster& now) {
    if (before.address.empty() || before.disabled) return;
    if (now.address.empty()) {
        complain(cat("warning: ", before.address,
                     " was the postmaster and no other account is enabled: mail to postmaster and "
                     "root is put off until one is"));
    } else if (now.address != before.address) {
        complain(cat("warning: ", before.address, " was the postmaster; ", now.address,
                     " is now, and gets the mail to root and other names of this host; tambo "
                     "postmaster ADDRESS names another account"));
    } else if (now.disabled) {
        complain(cat("warning: ", postmaster_refusal(now.address)));
    }
}

void add_ending(CLI::App& user,
                Context& context,
                Action& action,
                const std::string& name,
                const std::string& verb,
                const char* done,
                const std::string& help) {
    auto address = std::make_shared<std::string>();
    CLI::App* command = user.add_subcommand(name, help);
    command->add_option("ADDRESS", *address)->required();
    command->callback([&context, &action, verb, done, address] {
        action = [&context, verb, done, address] {
            const Postmaster before = postmaster_of(context);
            const auto answer = context.ask("authd", verb, {*address});
            confirm(cat("account ", *address, done), context.format);
            if (!answer.rows.empty()) print_answer(answer, context.format);
            tell_of_change(before, postmaster_of(context));
            return 0;
        };
    });
}

} // namespace

void add_postmaster_commands(CLI::App& app, CLI::App& user, Context& context, Action& action) {
    add_ending(user, context, action, "rm", "user.remove",
               " removed; its mail is erased after seven days",
               "remove an account; shows the aliases that lead nowhere now");
    add_ending(user, context, action, "disable", "user.disable", " disabled",
               "refuse its mail and logins; shows the aliases that lead nowhere now");
    auto address = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand(
        "postmaster", "the account that gets the mail of root and postmaster; sets it");
    command->add_option("ADDRESS", *address, "the account that is to get it");
    command->callback([&context, &action, address] {
        action = [&context, address] {
            std::vector<std::string> words;
            if (!address->empty()) words.push_back(*address);
            return relay_answer(context, "authd", {"postmaster", words, {}, {}});
        };
    });
}

} // namespace tambo::cli

// tambo domain, user, passwd, alias.
#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/app.h"
#include "cli/output.h"
#include "cli/password.h"

#include "common/base/text.h"

#include <memory>
#include <system_error>

namespace tambo::cli {

namespace {

using Words = std::vector<std::string>;

// A verb that takes words and prints what authd answers.
void add_verb(CLI::App& noun,
              Context& context,
              Action& action,
              const std::string& name,
              const std::string& verb,
              const std::string& operands,
              const std::string& help,
              int words_min,
              int words_max) {
    auto words = std::make_shared<Words>();
    CLI::App* command = noun.add_subcommand(name, help);
    if (words_max != 0) {
        command->add_option(operands, *words)->expected(words_min, words_max);
        if (words_min > 0) command->get_option(operands)->required();
    }
    command->callback([&context, &action, verb, words] {
        action = [&context, verb, words] {
            const auto answer = context.ask_any("authd", {verb, *words, {}, {}});
            print_answer(answer, context.format);
            if (!answer.error.empty()) complain(answer.error);
            return static_cast<int>(answer.exit_code);
        };
    });
}

struct UserOptions {
    std::string address, quota;
    PasswordSource source;
};

std::shared_ptr<UserOptions> add_password_options(CLI::App& command) {
    auto options = std::make_shared<UserOptions>();
    command.add_option("ADDRESS", options->address)->required();
    command.add_flag("--stdin", options->source.from_stdin,
                     "read the password from standard input");
    command.add_flag("--generate", options->source.generate, "make a password up and show it once");
    command.add_flag("--weak", options->source.weak, "accept fewer than 8 characters");
    return options;
}

int set_password(Context& context, const UserOptions& options, const std::string& verb) {
    const Password password = obtain_password(options.source);
    Words words{options.address};
    if (!options.quota.empty()) words.push_back("quota=" + options.quota);
    if (options.source.weak) words.emplace_back("weak");
    context.ask("authd", verb, std::move(words), password.text);
    if (password.generated) {
        print_answer({0, {}, {"address", "password"}, {{options.address, password.text}}, {}},
                     context.format);
    }
    return 0;
}

void add_user_commands(CLI::App& app, Context& context, Action& action) {
    CLI::App* user = app.add_subcommand("user", "accounts")->require_subcommand(1);
    add_verb(*user, context, action, "list", "user.list", "DOMAIN", "list accounts", 0, 1);
    add_verb(*user, context, action, "show", "user.show", "ADDRESS", "show an account", 1, 1);
    CLI::App* add = user->add_subcommand("add", "make an account");
    auto add_options = add_password_options(*add);
    add->add_option("--quota", add_options->quota, "space for its mail, e.g. 2G");
    add->callback([&context, &action, add_options] {
        action = [&context, add_options] {
            return set_password(context, *add_options, "user.add");
        };
    });
    add_verb(*user, context, action, "rm", "user.remove", "ADDRESS",
             "remove an account; shows the aliases that lead nowhere now", 1, 1);
    add_verb(*user, context, action, "disable", "user.disable", "ADDRESS",
             "refuse its mail and logins", 1, 1);
    add_verb(*user, context, action, "enable", "user.enable", "ADDRESS", "undo disable", 1, 1);
    add_verb(*user, context, action, "quota", "user.quota", "ADDRESS_SIZE",
             "ADDRESS SIZE [MESSAGES]: set its quota; 0 for the default", 2, 3);
    CLI::App* passwd = app.add_subcommand("passwd", "set the password of an account");
    auto passwd_options = add_password_options(*passwd);
    passwd->callback([&context, &action, passwd_options] {
        action = [&context, passwd_options] {
            return set_password(context, *passwd_options, "password.set");
        };
    });
}

// With a word of its own among the addresses: none is without '@'.
void add_alias_add(CLI::App& noun, Context& context, Action& action) {
    struct Options {
        Words words;
        bool force = false;
    };
    auto options = std::make_shared<Options>();
    CLI::App* command = noun.add_subcommand("add", "ALIAS TARGET...: add targets to an alias");
    command->add_option("ALIAS_TARGETS", options->words)->expected(2, 1000)->required();
    command->add_flag("--force", options->force, "also targets that lead nowhere yet");
    command->callback([&context, &action, options] {
        action = [&context, options] {
            Words words = options->words;
            if (options->force) words.emplace_back("force");
            context.ask("authd", "alias.add", std::move(words));
            return 0;
        };
    });
}

} // namespace

void warn_of_dangling_aliases(Context& context) {
    constexpr size_t kNamed = 10;
    ipc::AdminAnswer answer;
    try {
        if (!context.is_running()) return;
        answer = context.ask_any("authd", {"alias.check", {}, {}, {}});
    } catch (const Failure&) {
        return;
    } catch (const std::system_error&) {
        return;
    }
    for (size_t i = 0; i < answer.rows.size() && i < kNamed; ++i) {
        complain(cat("warning: alias ", answer.rows[i].at(0), " leads to ", answer.rows[i].at(1),
                     ", which is not there"));
    }
    if (answer.rows.size() > kNamed) {
        complain(cat("warning: and ", answer.rows.size() - kNamed,
                     " more targets that are not there (tambo alias list)"));
    }
}

void add_account_commands(CLI::App& app, Context& context, Action& action) {
    CLI::App* domain = app.add_subcommand("domain", "mail domains")->require_subcommand(1);
    add_verb(*domain, context, action, "list", "domain.list", "", "list domains", 0, 0);
    add_verb(*domain, context, action, "add", "domain.add", "DOMAIN", "accept mail for it", 1, 1);
    add_verb(*domain, context, action, "rm", "domain.remove", "DOMAIN", "remove an empty domain", 1,
             1);
    add_verb(*domain, context, action, "disable", "domain.disable", "DOMAIN", "refuse its mail", 1,
             1);
    add_verb(*domain, context, action, "enable", "domain.enable", "DOMAIN", "undo disable", 1, 1);

    add_user_commands(app, context, action);

    CLI::App* alias = app.add_subcommand("alias", "aliases; *@DOMAIN is the catch-all");
    alias->require_subcommand(1);
    add_verb(*alias, context, action, "list", "alias.list", "DOMAIN", "list aliases", 0, 1);
    add_alias_add(*alias, context, action);
    add_verb(*alias, context, action, "rm", "alias.remove", "ALIAS_TARGETS",
             "ALIAS [TARGET...]: remove an alias, or targets of it", 1, 1000);
    add_verb(app, context, action, "explain", "address.explain", "ADDRESS",
             "where mail for an address goes", 1, 1);
}

} // namespace tambo::cli

// tambo domain, user, passwd, alias.
#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/app.h"
#include "cli/output.h"
#include "cli/password.h"

#include "common/base/text.h"
#include "common/ipc/admin.h"

#include <sysexits.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <system_error>

namespace tambo::cli {

namespace {

using Words = std::vector<std::string>;

// A verb that takes words and prints what authd answers. done: what a person is told, with the
// first word in the place of '%'.
void add_verb(CLI::App& noun,
              Context& context,
              Action& action,
              const std::string& name,
              const std::string& verb,
              const std::string& operands,
              const std::string& help,
              int words_min,
              int words_max,
              std::string_view done = {}) {
    auto words = std::make_shared<Words>();
    CLI::App* command = noun.add_subcommand(name, help);
    if (words_max != 0) {
        command->add_option(operands, *words)->expected(words_min, words_max);
        if (words_min > 0) command->get_option(operands)->required();
    }
    command->callback([&context, &action, verb, words, done] {
        action = [&context, verb, words, done] {
            const int status = relay_answer(context, "authd", {verb, *words, {}, {}});
            if (status == 0 && !done.empty()) {
                const auto [before, behind] = split_once(done, '%');
                confirm(cat(before, words->front(), behind), context.format);
            }
            return status;
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
    Words words{options.address};
    if (!options.quota.empty()) words.push_back("quota=" + options.quota);
    // Before anybody types a password for nothing.
    const bool is_new = verb == "user.add";
    context.ask("authd", is_new ? "user.check" : "user.show", words);
    const Password password = obtain_password(options.source, options.address);
    if (options.source.weak) words.emplace_back("weak");
    context.ask("authd", verb, std::move(words), password.text);
    confirm(cat(is_new ? "account " : "password of ", options.address,
                is_new ? " added" : " changed; its sessions have ended"),
            context.format);
    if (password.generated) {
        print_answer({0, {}, {"address", "password"}, {{options.address, password.text}}, {}},
                     context.format);
    }
    return 0;
}

struct Named {
    std::string address, id;
};

// Those that were named, or all.
std::vector<Named> accounts_of(Context& context, const Words& addresses) {
    std::vector<Named> accounts;
    if (addresses.empty()) {
        for (const auto& row : context.ask("authd", "user.list").rows)
            accounts.push_back({row.at(0), row.at(4)});
    }
    for (const auto& address : addresses) {
        const auto row = context.ask("authd", "user.show", {address}).rows.at(0);
        accounts.push_back({row.at(0), row.at(5)});
    }
    return accounts;
}

// What could be found out is shown, whatever became of the rest.
int show_usage(Context& context, const Words& addresses) {
    context.ask("master", "status"); // only a running suite can tell
    const std::string keeper = context.control_socket("keeper");
    ipc::AdminAnswer all;
    for (const auto& account : accounts_of(context, addresses)) {
        auto one = ipc::ask_daemon(keeper, {"usage", {account.id}, {}, {}});
        if (!one) {
            complain("the keeper does not answer any more; tambo status");
            all.exit_code = EX_UNAVAILABLE;
            break;
        }
        if (one->exit_code == EX_NOUSER && addresses.empty()) continue; // removed meanwhile
        if (!one->columns.empty()) all.columns = std::move(one->columns);
        std::ranges::move(one->rows, std::back_inserter(all.rows));
        if (one->error.empty()) continue;
        complain(cat(account.address, ": ", one->error));
        all.exit_code = one->exit_code;
    }
    print_answer(all, context.format);
    return all.exit_code;
}

void add_user_usage(CLI::App& user, Context& context, Action& action) {
    auto addresses = std::make_shared<Words>();
    CLI::App* usage = user.add_subcommand("usage", "how much mail accounts keep");
    usage->add_option("ADDRESS", *addresses, "accounts; all if none is named");
    usage->callback([&context, &action, addresses] {
        action = [&context, addresses] { return show_usage(context, *addresses); };
    });
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
    add_postmaster_commands(app, *user, context, action);
    add_verb(*user, context, action, "enable", "user.enable", "ADDRESS", "undo disable", 1, 1,
             "account % enabled");
    add_verb(*user, context, action, "quota", "user.quota", "ADDRESS_SIZE",
             "ADDRESS SIZE [MESSAGES]: set its quota; 0 for the default", 2, 3,
             "quota of % set; tambo queue flush tries what waited for room");
    add_user_usage(*user, context, action);
    CLI::App* passwd = app.add_subcommand("passwd", "set the password of an account");
    auto passwd_options = add_password_options(*passwd);
    passwd->callback([&context, &action, passwd_options] {
        action = [&context, passwd_options] {
            return set_password(context, *passwd_options, "password.set");
        };
    });
}

// An alias of an account's name may take the account's mail away.
void tell_of_account(Context& context, const std::string& alias) {
    const auto account = context.ask_any("authd", {"user.show", {alias}, {}, {}});
    if (account.exit_code != 0) return;
    const std::string& address = account.rows.at(0).at(0);
    std::string targets;
    for (const auto& row : context.ask_any("authd", {"address.explain", {alias}, {}, {}}).rows) {
        if (row.at(0) == "local" && row.at(1) == address) return; // it keeps it, too
        if (!row.at(1).empty()) targets += cat(targets.empty() ? "" : ", ", row.at(1));
    }
    const std::string now = targets.empty() ? "is refused" : cat("goes to ", targets, " only");
    complain(cat("note: ", address, " is an account: from now on its mail ", now,
                 "; tambo alias add ", address, ' ', address, " lets it have it, too"));
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
            confirm(cat("alias ", options->words[0], ": added"), context.format);
            tell_of_account(context, options->words[0]);
            return 0;
        };
    });
}

} // namespace

namespace {

// As authd sees them; nothing while the suite is down, or for who may not ask it.
std::vector<Words> rows_if_running(Context& context, const std::string& verb) {
    try {
        if (context.is_running()) return context.ask_any("authd", {verb, {}, {}, {}}).rows;
    } catch (const Failure&) {
    } catch (const std::system_error&) {
    }
    return {};
}

constexpr size_t kWarningsMax = 10;

} // namespace

void warn_of_lost_mail(Context& context) {
    for (const auto& row : rows_if_running(context, "postmaster")) {
        if (row.size() > 1 && row[1] == "disabled") {
            complain(cat("warning: ", postmaster_refusal(row[0])));
        }
    }
    const auto rows = rows_if_running(context, "alias.check");
    for (size_t i = 0; i < rows.size() && i < kWarningsMax; ++i) {
        complain(cat("warning: alias ", rows[i].at(0), " leads to ", rows[i].at(1),
                     ", which is not there"));
    }
    if (rows.size() > kWarningsMax) {
        complain(cat("warning: and ", rows.size() - kWarningsMax,
                     " more targets that are not there (tambo alias list)"));
    }
}

void warn_of_aliases_file(Context& context) {
    const std::string& file = context.config().accounts.aliases_file;
    const auto rows = rows_if_running(context, "aliases_file.check");
    for (size_t i = 0; i < rows.size() && i < kWarningsMax; ++i) {
        const std::string where = escape(rows[i].at(0)), what = escape(rows[i].at(1));
        const std::string& problem = rows[i].at(2);
        std::string text = cat("warning: ", file);
        if (problem == "unsupported") {
            text += cat(", ", where, ": ", what, " is left out: only addresses are supported");
        } else if (problem == "malformed") {
            text += cat(", ", where, ": \"", what, "\" is left out: it is not \"name: address\"");
        } else if (problem == "circle") {
            text += cat(": ", where, " leads in a circle; the postmaster gets its mail");
        } else {
            text += cat(": ", where, " leads to ", what,
                        ", which is not there; the postmaster gets its mail");
        }
        complain(text);
    }
    if (rows.size() > kWarningsMax) {
        complain(cat("warning: and ", rows.size() - kWarningsMax, " more of ", file));
    }
}

void add_account_commands(CLI::App& app, Context& context, Action& action) {
    CLI::App* domain = app.add_subcommand("domain", "mail domains")->require_subcommand(1);
    add_verb(*domain, context, action, "list", "domain.list", "", "list domains", 0, 0);
    add_verb(*domain, context, action, "add", "domain.add", "DOMAIN", "accept mail for it", 1, 1,
             "domain % added");
    add_verb(*domain, context, action, "rm", "domain.remove", "DOMAIN", "remove an empty domain", 1,
             1, "domain % removed");
    add_verb(*domain, context, action, "disable", "domain.disable", "DOMAIN", "refuse its mail", 1,
             1, "domain % disabled");
    add_verb(*domain, context, action, "enable", "domain.enable", "DOMAIN", "undo disable", 1, 1,
             "domain % enabled");

    add_user_commands(app, context, action);

    CLI::App* alias = app.add_subcommand("alias", "aliases; *@DOMAIN is the catch-all");
    alias->require_subcommand(1);
    add_verb(*alias, context, action, "list", "alias.list", "DOMAIN", "list aliases", 0, 1);
    add_alias_add(*alias, context, action);
    add_verb(*alias, context, action, "rm", "alias.remove", "ALIAS_TARGETS",
             "ALIAS [TARGET...]: remove an alias, or targets of it", 1, 1000, "alias %: removed");
    add_verb(app, context, action, "explain", "address.explain", "ADDRESS",
             "where mail for an address goes", 1, 1);
}

} // namespace tambo::cli

#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/app.h"
#include "cli/output.h"
#include "cli/quickstart.h"

#include "common/base/password_rule.h"
#include "common/base/text.h"
#include "common/smtp/address.h"
#include "common/sys/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

namespace tambo::cli {

namespace {

// What became of one step, for the person who reads along.
enum class Outcome { made, present, differs };

constexpr const char* kDefaultConfig = "/etc/tambo/tambo.toml";
constexpr std::string_view kRoles[] = {"postmaster", "abuse", "hostmaster"};

class Quickstart {
  public:
    Quickstart(Context& context, const QuickstartOptions& options)
        : context_(context), options_(options) {}

    int run() {
        check_names();
        std::puts("[1/3] this server");
        write_configuration();
        make_accounts();
        print_password();
        print_dns();
        print_start();
        return 0;
    }

  private:
    // At once: who is asked for a password sees for what, and what there is if that ends it.
    static void report(Outcome outcome, const std::string& text) {
        const char* mark = outcome == Outcome::made      ? "made"
                           : outcome == Outcome::present ? "ok"
                                                         : "DIFFERS";
        std::printf("  %-8s %s\n", mark, text.c_str());
        std::fflush(stdout);
    }

    void check_names() {
        const auto address = smtp::parse_address(options_.address);
        const auto probe = smtp::parse_address("x@" + options_.domain);
        if (!probe || probe->is_literal()) {
            throw Failure{EX_USAGE, cat('"', escape(options_.domain), "\" is not a domain name")};
        }
        domain_ = probe->domain_key;
        if (!address || address->is_literal() || address->is_bare_postmaster()) {
            throw Failure{EX_USAGE, cat('"', escape(options_.address), "\" is not a mail address")};
        }
        if (address->domain_key != domain_) {
            throw Failure{EX_USAGE, cat(options_.address, " is not an address of ", domain_)};
        }
        if (!options_.directory.empty() && options_.directory[0] != '/') {
            throw Failure{EX_USAGE, cat(options_.directory, " is not an absolute path")};
        }
        hostname_ = options_.hostname.empty() ? "mail." + domain_ : to_lower(options_.hostname);
    }

    void write_configuration() {
        if (context_.config_file.empty()) {
            const char* named = std::getenv("TAMBO_CONFIG");
            context_.config_file = named != nullptr ? named : kDefaultConfig;
        }
        const std::string& path = context_.config_file;
        if (::access(path.c_str(), F_OK) == 0) {
            const std::string& configured = context_.config().hostname;
            if (!options_.hostname.empty() && configured != hostname_) {
                report(Outcome::differs, cat("hostname is ", configured, " in ", path, ", not ",
                                             hostname_, "; change it there"));
            } else {
                report(Outcome::present, cat("configuration ", path, ", hostname ", configured));
            }
            const std::string& place = context_.config().directory;
            if (!options_.directory.empty() && options_.directory != place) {
                report(Outcome::differs, cat("directory is ", place, " in ", path, ", not ",
                                             options_.directory, "; change it there"));
            }
            hostname_ = configured;
            return;
        }
        const std::string directory = path.substr(0, path.rfind('/') + 1);
        ::mkdir(directory.c_str(), 0755);
        const UniqueFd fd =
            open_or_throw(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
        write_file_atomically(fd.get(), path.substr(path.rfind('/') + 1),
                              cat("# tambo.toml(5); every other key has a safe default:\n"
                                  "#   tambo config show --defaults\n"
                                  "hostname = \"",
                                  hostname_, "\"\n", directory_line()),
                              0644);
        report(Outcome::made, cat("configuration ", path, ", hostname ", hostname_));
    }

    std::string directory_line() const {
        if (options_.directory.empty()) return {};
        std::string quoted;
        for (const char c : options_.directory) {
            if (c == '"' || c == '\\') quoted.push_back('\\');
            quoted.push_back(c);
        }
        return cat("directory = \"", quoted, "\"\n");
    }

    // The row whose first cell is this; nullptr if there is none.
    static const std::vector<std::string>* find_row(const ipc::AdminAnswer& answer,
                                                    const std::string& first) {
        for (const auto& row : answer.rows) {
            if (!row.empty() && iequals(row[0], first)) return &row;
        }
        return nullptr;
    }

    // state_at: the cell that says "enabled" or "disabled".
    bool is_there(const ipc::AdminAnswer& answer,
                  const std::string& name,
                  size_t state_at,
                  const std::string& noun,
                  const std::string& note) {
        const auto* row = find_row(answer, name);
        if (row == nullptr) return false;
        const std::string verb = noun == "account" ? "user" : noun;
        if (row->at(state_at) == "disabled") {
            report(Outcome::differs,
                   cat(noun, ' ', name, " is disabled; tambo ", verb, " enable ", name));
        } else {
            report(Outcome::present, cat(noun, ' ', name, note));
        }
        return true;
    }

    void make_accounts() {
        const auto users = context_.ask("authd", "user.list", {domain_});
        const bool is_new = find_row(users, options_.address) == nullptr;
        // Nothing is made as long as there is no password.
        Password password;
        if (is_new) {
            PasswordSource source = options_.source;
            if (!source.from_stdin && !::isatty(STDIN_FILENO)) source.generate = true;
            password = obtain_password(source, options_.address);
            if (const auto problem = password_problem(password.text, false)) {
                throw Failure{EX_DATAERR, *problem};
            }
        }
        if (!is_there(context_.ask("authd", "domain.list"), domain_, 3, "domain", "")) {
            context_.ask("authd", "domain.add", {domain_});
            report(Outcome::made, cat("domain ", domain_));
        }
        if (is_new) {
            context_.ask("authd", "user.add", {options_.address}, password.text);
            report(Outcome::made, cat("account ", options_.address));
            if (password.generated) password_ = password.text;
        } else {
            is_there(users, options_.address, 1, "account", " (tambo passwd sets a new password)");
        }
        for (const auto role : kRoles)
            make_role(cat(role, '@', domain_));
        name_postmaster();
    }

    void name_postmaster() {
        auto answer = context_.ask("authd", "postmaster");
        if (answer.rows.empty()) answer = context_.ask("authd", "postmaster", {options_.address});
        if (!answer.rows.empty()) postmaster_ = answer.rows[0].at(0);
    }

    void make_role(const std::string& alias) {
        if (iequals(alias, options_.address)) return;
        std::string others;
        for (const auto& row : context_.ask("authd", "alias.list", {domain_}).rows) {
            if (!iequals(row.at(0), alias)) continue;
            if (iequals(row.at(1), options_.address)) {
                report(Outcome::present, cat("alias ", alias, " to ", options_.address));
                return;
            }
            others += cat(others.empty() ? "" : ", ", row.at(1));
        }
        if (!others.empty()) {
            report(Outcome::differs,
                   cat("alias ", alias, " goes to ", others, ", not to ", options_.address));
            return;
        }
        context_.ask("authd", "alias.add", {alias, options_.address});
        report(Outcome::made, cat("alias ", alias, " to ", options_.address));
    }

    void print_password() const {
        if (password_.empty()) return;
        std::printf("\n  password of %s: %s\n  (shown once; change it: tambo passwd %s)\n",
                    options_.address.c_str(), password_.c_str(), options_.address.c_str());
    }

    void print_dns() const {
        std::printf("\n[2/3] enter these records for %s at your DNS provider\n", domain_.c_str());
        const auto addresses = public_addresses();
        for (const auto& record : dns_records(domain_, hostname_, addresses)) {
            std::printf("  %-32s %-5s %-34s ; %s\n", record.name.c_str(), record.type.c_str(),
                        record.value.c_str(), record.purpose.c_str());
        }
        std::puts("\n  ask your hoster for");
        if (addresses.empty()) {
            std::printf("  - reverse DNS (PTR) of the server's public address: %s\n",
                        hostname_.c_str());
        }
        for (const auto& address : addresses) {
            std::printf("  - reverse DNS (PTR) of %s: %s\n", address.c_str(), hostname_.c_str());
        }
        std::puts("  - outgoing TCP port 25 open (many close it until you ask)");
    }

    void print_start() {
        std::puts("\n[3/3] start");
        if (context_.is_running()) {
            std::puts("  tambo is running");
        } else if (has_systemd() && context_.config_file == kDefaultConfig) {
            std::puts("  systemctl enable --now tambo");
        } else {
            std::printf("  %s --config %s\n", daemon_path("master").c_str(),
                        context_.config_file.c_str());
        }
        std::puts("  tambo status          what runs, and warnings");
        if (context_.config().tls.certificate.empty()) {
            std::puts("  tambo certificate     once it runs: the fingerprint of its self-signed "
                      "certificate,\n"
                      "                        of which mail programs warn; tls.certificate in "
                      "tambo.toml(5)\n"
                      "                        names another one");
        }
        if (!postmaster_.empty()) {
            std::printf("\n  mail to postmaster, and to root and other users of this machine, goes "
                        "to\n  %s (tambo postmaster names another account)\n",
                        postmaster_.c_str());
        }
        std::printf("\n  mail clients: login %s, IMAP %s port 993 (TLS), POP3 port 995 (TLS),\n"
                    "                SMTP %s port 465 (TLS); or STARTTLS on 143, 110 and 587\n",
                    options_.address.c_str(), hostname_.c_str(), hostname_.c_str());
    }

    Context& context_;
    const QuickstartOptions& options_;
    std::string domain_, hostname_, password_, postmaster_;
};

} // namespace

int run_quickstart(Context& context, const QuickstartOptions& options) {
    try {
        return Quickstart(context, options).run();
    } catch (const std::system_error& error) {
        throw Failure{EX_NOPERM, error.what()};
    }
}

void add_quickstart_command(CLI::App& app, Context& context, Action& action) {
    auto options = std::make_shared<QuickstartOptions>();
    CLI::App* command = app.add_subcommand("quickstart", "set up a domain with one account");
    command->add_option("DOMAIN", options->domain)->required();
    command->add_option("ADDRESS", options->address)->required();
    command->add_option("--hostname", options->hostname, "name of this server; mail.DOMAIN");
    command->add_option("--directory", options->directory,
                        "where mail and everything else lives; /var/lib/tambo");
    command->add_flag("--stdin", options->source.from_stdin, "read the password from stdin");
    command->add_flag("--generate", options->source.generate, "make a password up");
    command->callback([&, options] {
        action = [&context, options] { return run_quickstart(context, *options); };
    });
}

} // namespace tambo::cli

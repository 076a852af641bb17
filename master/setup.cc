#include "master/setup.h"

#include "common/base/text.h"
#include "common/conf/describe.h"
#include "common/crypto/certificate.h"
#include "common/sys/clock.h"
#include "common/sys/error.h"
#include "common/sys/sandbox.h"
#include "master/certificates.h"
#include "master/handover.h"
#include "master/picture.h"
#include "master/suite.h"

#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace tambo::master {

namespace {

constexpr rlim_t kOpenFilesWanted = 65536; // daemons lower it for themselves
constexpr const char* kJournal = "/run/systemd/journal/socket";

[[noreturn]] void exit_with(int code, const std::string& message) {
    std::fprintf(stderr, "%s%s", message.c_str(), message.ends_with('\n') ? "" : "\n");
    std::exit(code);
}

void load_config(Setup& setup, const Options& options) {
    setup.request.file = options.config_file;
    setup.request.settings = options.settings;
    setup.request.check_certificate = check_server_certificate;
    const conf::Loaded loaded = conf::load(setup.request);
    if (!loaded.config) exit_with(EX_CONFIG, loaded.report());
    std::fputs(loaded.report().c_str(), stderr); // warnings
    setup.config = *loaded.config;
}

void raise_open_files() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) throw_errno("RLIMIT_NOFILE");
    if (::geteuid() == 0) limit.rlim_max = std::max(limit.rlim_max, kOpenFilesWanted);
    limit.rlim_cur = limit.rlim_max;
    if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
    // Root without CAP_SYS_RESOURCE, as in containers: as far as it goes.
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

void look_up_users(Setup& setup) {
    auto users = Users::look_up(::geteuid() == 0);
    if (!users) exit_with(EX_NOUSER, "master: " + users.error());
    setup.users = std::move(*users);
}

void prepare_directory(Setup& setup, Inherited inherited) {
    setup.directories.emplace(setup.config.directory);
    if (const auto holder = setup.directories->lock(std::move(inherited.lock))) {
        exit_with(EX_TEMPFAIL, cat("master: process ", *holder, " runs a suite in ",
                                   setup.config.directory, " already"));
    }
    setup.directories->make(*setup.users);
    const UtcTime now = SystemClock().now();
    provide_certificate(setup.config, *setup.directories, *setup.users, now);
    setup.tls = TlsFiles(setup.config);
    if (const auto wrong = setup.tls.problem(setup.request)) {
        exit_with(EX_CONFIG, cat("master: ", *wrong));
    }
    for (const auto& sentence : certificate_warnings(setup.config, now)) {
        std::fprintf(stderr, "master: warning: %s\n", sentence.c_str());
    }
    auto epoch = Epoch::begin(setup.directories->top());
    if (!epoch) exit_with(EX_DATAERR, cat("master: ", setup.config.directory, ": ", epoch.error()));
    setup.epoch.emplace(std::move(*epoch));
    // The local sockets of another directory would be of no use.
    if (!setup.directories->is_successor()) {
        std::erase_if(inherited.sockets, [](const auto& socket) { return socket.is_local(); });
    }
    setup.listeners.inherit(std::move(inherited.sockets));
}

void bind_listeners(Setup& setup) {
    std::string all;
    for (const auto& problem : setup.listeners.bind_ports(setup.config)) {
        all += cat("master: ", problem, '\n');
    }
    if (!all.empty()) exit_with(EX_UNAVAILABLE, all);
    setup.listeners.bind_local(*setup.directories, *setup.users);
}

} // namespace

Options options_or_exit(const std::vector<std::string>& arguments) {
    auto options = parse_options(arguments);
    if (!options) exit_with(EX_USAGE, cat("master: ", options.error(), '\n', usage()));
    std::string text;
    switch (options->print) {
    case Options::Print::nothing:
        return std::move(*options);
    case Options::Print::wiring:
        text = wiring_picture();
        break;
    case Options::Print::keys:
        text = conf::keys_mdoc();
        break;
    case Options::Print::help:
        text = usage();
        break;
    case Options::Print::version:
        text = "tambo " TAMBO_VERSION "\n";
        break;
    }
    std::fputs(text.c_str(), stdout);
    std::exit(0);
}

Setup set_up_or_exit(const Options& options) {
    Setup setup;
    Inherited inherited = Inherited::from_environment();
    setup.foreground = options.foreground;
    load_config(setup, options);
    try {
        raise_open_files();
        const std::string here = own_directory();
        setup.command = command_line(here + "/master", options);
        setup.smarthost_password = read_smarthost_password(setup.config);
        setup.executables.emplace(options.libexec.empty() ? here : options.libexec);
        look_up_users(setup);
        if (options.check) std::exit(0);
        prepare_directory(setup, std::move(inherited));
        bind_listeners(setup);
    } catch (const std::system_error& e) {
        exit_with(EX_OSERR, cat("master: ", e.what()));
    }
    return setup;
}

Surroundings Setup::surroundings(LogPipes& log_pipes) {
    Surroundings around{config,
                        smarthost_password,
                        1,
                        epoch->number(),
                        ::access(kJournal, W_OK) == 0,
                        foreground,
                        false,
                        *directories,
                        *users,
                        listeners,
                        *executables,
                        log_pipes,
                        command,
                        std::move(tls)};
    return around;
}

int Setup::become_successor() const {
    const std::string left = handed_over(directories->lock_descriptor(), listeners.all());
    hold_signals(); // until the next program takes them
    const int error = replace_process(command, left);
    std::fprintf(stderr, "master: cannot execute %s: %s\n", command.front().c_str(),
                 error_text(error).c_str());
    return EX_OSERR;
}

void Setup::enter_sandbox() const {
    sandbox::enter(sandbox::profiles::master, {});
}

} // namespace tambo::master

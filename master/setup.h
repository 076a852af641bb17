// Everything that happens before the first daemon starts, and can fail with a plain message.
#pragma once

#include "common/conf/load.h"
#include "master/children.h"
#include "master/directories.h"
#include "master/epoch.h"
#include "master/executables.h"
#include "master/listeners.h"
#include "master/options.h"
#include "master/users.h"

#include <optional>
#include <string>
#include <vector>

namespace tambo::master {

// Owns what Surroundings refers to.
struct Setup {
    conf::Request request;
    conf::Config config;
    std::string smarthost_password;
    TlsFiles tls;
    bool foreground = false;
    std::vector<std::string> command; // how to start the next program of this process
    std::optional<Users> users;
    std::optional<Directories> directories;
    std::optional<Executables> executables;
    std::optional<Epoch> epoch;
    Listeners listeners;

    // Once: what is in tls goes along.
    Surroundings surroundings(LogPipes& log_pipes);
    // The reduced rights of master itself.
    void enter_sandbox() const;
    // After the shutdown: executes the program that is installed now, with our sockets and lock.
    // Returns an exit status if that cannot be done.
    int become_successor() const;
};

// Prints what was asked for and exits with 0, or exits with 64 and a usage text.
Options options_or_exit(const std::vector<std::string>& arguments);

// Exits with a message: 78 (EX_CONFIG) for the configuration, 67 for missing users, 75 when another
// master has the directory, 69 when a port is taken, 71 for failing system calls; with 0 if only a
// check was asked for and all of that which can be seen without touching anything is well.
Setup set_up_or_exit(const Options& options);

} // namespace tambo::master

// How master replaces itself by the program that is installed now, without closing a port: after
// the shutdown it executes its own file anew, with the same process id, and hands it the listening
// sockets and the lock of the directory. Connections that come meanwhile wait in the kernel.
//
// What crosses from one program to the next is an environment variable with descriptor numbers;
// daemons never see it.
#pragma once

#include "common/base/unique_fd.h"
#include "master/listeners.h"
#include "master/options.h"

#include <string>
#include <vector>

#include <sys/types.h>

namespace tambo::master {

// What a former program of this process has left; empty at an ordinary start.
struct Inherited {
    UniqueFd lock;
    std::vector<Listeners::Socket> sockets;

    // Reads the variable and removes it. Descriptors that are not what they are said to be are
    // left alone.
    static Inherited from_environment();
};

// The value of the variable for these descriptors, which stay the caller's. Copies that survive
// execve(2) are made and never closed: for the moment before it.
std::string handed_over(int lock, const std::vector<Listeners::Socket>& sockets);

// Our own program file and the options that its next run needs. --ready-fd is not among them: its
// reader has had its line.
std::vector<std::string> command_line(const std::string& program, const Options& options);

// A run of the command that only looks whether it could start (master --check).
struct Trial {
    pid_t pid = -1;
    UniqueFd output; // what it prints

    // After its end: what it printed, or why it could not. status: as of waitpid(2).
    std::string report(const std::string& program, int status) const;
};
// Throws std::system_error if no process can be made.
Trial start_trial(const std::vector<std::string>& command);

// Executes command in this process. Returns only if that fails: the error number.
int replace_process(const std::vector<std::string>& command, const std::string& handed_over);

} // namespace tambo::master

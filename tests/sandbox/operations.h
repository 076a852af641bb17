// What a daemon that was taken over would try. Each operation is run in a process of its own, so it
// may end in a signal; none does harm when it succeeds.
#pragma once

#include <span>
#include <string>

namespace tambo::probe {

// Where to try it; from the file probe.conf beside the executable.
struct Targets {
    std::string mode;        // "closed": in the sandbox; "open": without it
    std::string state;       // directory of the suite
    std::string other_index; // index.db of an account that no process is serving
    std::string key;         // private key of TLS
    std::string config;      // tambo.toml
    std::string scratch;     // a directory where anybody may write
    int port = 0;            // somebody listens there on 127.0.0.1
};

struct Operation {
    const char* name;
    // Before the sandbox; may make a file of its own (named after the process id). May be nullptr.
    void (*prepare)(const Targets& targets);
    // In it. 0: it was possible; else errno.
    int (*attempt)(const Targets& targets);
};

std::span<const Operation> operations();

} // namespace tambo::probe

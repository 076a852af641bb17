// How a daemon starts: everything it will ever hold comes from master over descriptor 3 before it
// serves anybody. main.cc shows the order: boot, configuration, peers, server, ready, sandbox, run.
#pragma once

#include "common/base/unique_fd.h"
#include "common/ipc/codec.h"
#include "common/ipc/messages/control.h"
#include "common/sys/sandbox.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tambo::ipc {

using Identity = sandbox::Identity;

class Boot {
  public:
    // Reads from descriptor 3 until Start. Exits with 64 and a usage text when the daemon was not
    // started by master, with 1 when master sends something malformed or goes away.
    static Boot from_master(const char* daemon);

    const std::string& instance() const { return start_.instance; } // "mx.0"
    uint32_t epoch() const { return start_.epoch; }
    uint64_t start_number() const { return start_.start_number; }
    const std::string& directory() const { return start_.directory; }
    Identity identity() const;

    // The daemon's configuration; exits with 1 if it is not a C (builds differ).
    template <class C>
    C config() const {
        auto config = decode<C>(config_.config);
        if (!config) fail("malformed configuration");
        return std::move(*config);
    }
    uint64_t generation() const { return config_.generation; }

    // Each may be taken once; an absent name gives one with an invalid descriptor.
    UniqueFd take_file(const std::string& name);
    UniqueFd take_listener(const std::string& name);
    PeerSocket take_peer(const std::string& name);
    std::vector<std::string> listener_names() const;
    std::vector<std::string> peer_names() const;
    std::vector<std::string> file_names() const;
    // The control socket, for Control.
    UniqueFd take_control();

    [[noreturn]] void fail(const std::string& why) const;

  private:
    Boot() = default;
    bool accept(uint16_t type, std::string_view payload, std::vector<UniqueFd>& fds);

    std::string daemon_;
    UniqueFd control_;
    Start start_;
    Configure config_;
    std::multimap<std::string, UniqueFd> files_, listeners_;
    std::multimap<std::string, PeerSocket> peers_;
};

// Identifies the build; master refuses a child of another build.
std::string build_id();

} // namespace tambo::ipc

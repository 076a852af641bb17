// Asking a daemon while the suite is down: takes the suite lock, runs the daemon's own executable
// for one question in its own sandbox, and lets it end. There is no second way to change data.
#pragma once

#include "common/conf/config.h"
#include "common/ipc/messages/admin.h"

#include <string>

namespace tambo::cli {

// authd (accounts), queued (what waits), the keeper (fsck), and logd where it writes a file
// (trace).
bool can_run_offline(const conf::Config& config, const std::string& daemon);

// Throws Failure: EX_TEMPFAIL when the lock is taken (a suite is starting or stopping), EX_OSFILE,
// EX_NOPERM.
ipc::AdminAnswer
ask_offline(const conf::Config& config, const std::string& daemon, ipc::AdminRequest request);

} // namespace tambo::cli

// Telling whoever started us: systemd's notification socket (sd_notify(3), spoken without its
// library) and the ready line of --ready-fd.
#pragma once

#include "common/base/unique_fd.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tambo::master {

class Notifier {
  public:
    // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; without them nothing is sent.
    static Notifier from_environment();

    void ready(std::string_view status) const;
    void reloading() const;
    void stopping() const;
    void status(std::string_view text) const;
    void watchdog() const;
    // How often watchdog() is wanted, 0: not at all.
    int64_t watchdog_interval_ms() const { return watchdog_interval_ms_; }

  private:
    void send(const std::string& message) const;

    UniqueFd socket_; // connected
    int64_t watchdog_interval_ms_ = 0;
};

} // namespace tambo::master

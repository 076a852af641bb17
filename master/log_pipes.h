// One one-way channel for events from each process to logd. Master keeps both ends: events wait in
// the kernel while logd is away, and the name of the channel, not the sender's word, says whose
// events they are.
#pragma once

#include "common/base/unique_fd.h"

#include <functional>
#include <map>
#include <string>

namespace tambo::master {

class LogPipes {
  public:
    // A copy of the instance's sending end; the channel is made on first use.
    UniqueFd sender(const std::string& instance);
    // Copies of all receiving ends: for a (new) logd.
    void
    each_receiver(const std::function<void(const std::string& instance, UniqueFd)>& give) const;
    // Called for every channel that is made later, while logd runs.
    std::function<void(const std::string& instance, UniqueFd receiver)> on_new;
    // The instance will not come back. What it has sent is still read by logd.
    void forget(const std::string& instance);

  private:
    struct Pipe {
        UniqueFd sending, receiving;
    };
    std::map<std::string, Pipe> pipes_;
};

} // namespace tambo::master

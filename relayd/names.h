// The questions that relayd asks about names. dnsd answers them; tests answer them from a table.
#pragma once

#include "common/ipc/channel.h"
#include "common/ipc/messages/dnsd.h"

#include <string>

namespace tambo::relayd {

class NameService {
  public:
    virtual ~NameService() = default;
    // Throws nothing but Cancelled: without an answer within timeout_ms the status is temporary.
    virtual task<ipc::DnsAnswer>
    lookup(std::string name, ipc::DnsType type, int64_t timeout_ms) = 0;
};

class ChannelNames final : public NameService {
  public:
    explicit ChannelNames(ipc::Channel& dnsd) : dnsd_(dnsd) {}
    task<ipc::DnsAnswer> lookup(std::string name, ipc::DnsType type, int64_t timeout_ms) override;

  private:
    ipc::Channel& dnsd_;
};

} // namespace tambo::relayd

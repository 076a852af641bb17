// The road between queued and the keeper: link the body, let the account file it, tell the outcome.
// Keeps nothing: every step can be repeated (research/security.md R10).
#pragma once

#include "common/conf/small_configs.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/delivery.h"
#include "deliverd/linker.h"

#include <functional>
#include <string>

namespace tambo::deliverd {

class Service {
  public:
    // The nursery must be empty before the service goes.
    Service(Nursery& nursery, Linker linker);

    ipc::Channel& queued() { return queued_; }
    ipc::Channel& keeper() { return keeper_; }
    Linker& linker() { return linker_; }

    // A sync failed: nothing may be acknowledged any more.
    std::function<void(const std::string& what)> on_fault;

  private:
    task<ipc::Delivered> deliver(ipc::Deliver request);
    task<ipc::ReplyText> prepare(Id account);
    task<ipc::Delivered> file(ipc::DeliveryFacts facts);
    ipc::Delivered not_linked(const ipc::DeliveryFacts& facts, const LinkResult& result);

    Linker linker_;
    ipc::Channel queued_, keeper_;
    bool faulty_ = false;
};

} // namespace tambo::deliverd

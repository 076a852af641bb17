// One delivery job: the body is linked into the account, then the account's process files it. Keeps
// nothing: a job that is asked again gives the same outcome.
#pragma once

#include "common/ipc/channel.h"
#include "common/ipc/messages/delivery.h"
#include "deliverd/linker.h"

namespace tambo::deliverd {

class Deliverer {
  public:
    // All must outlive the deliverer's jobs.
    Deliverer(const Linker& linker, ipc::Channel& queued, ipc::Channel& keeper);

  private:
    task<ipc::Delivered> deliver(ipc::Deliver job);
    task<LinkResult> link(const ipc::Deliver& job);

    const Linker& linker_;
    ipc::Channel& keeper_;
};

} // namespace tambo::deliverd

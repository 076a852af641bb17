// relayd's one service: takes jobs from queued, as many at a time as relay.sessions_max.
#pragma once

#include "common/conf/relayd_config.h"
#include "common/event/gate.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/relayd.h"
#include "common/sys/clock.h"
#include "relayd/delivery.h"
#include "relayd/names.h"
#include "relayd/ourselves.h"
#include "relayd/pool.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tambo::relayd {

class Service {
  public:
    // All outlive the service; nursery must be empty before it goes.
    Service(Nursery& nursery,
            NameService& names,
            Clock& clock,
            Random& random,
            const Timeouts& timeouts = Timeouts());
    ~Service();

    // Before the first job and at reload: jobs that run keep what they began with.
    // local_addresses: see ConfiguredOurselves.
    void configure(conf::RelaydConfig config, std::vector<std::string> local_addresses);
    // PEM of the trusted roots, read when the first job comes: it takes longer than all else at the
    // start. An unusable bundle is reported then as an event, and nobody is trusted.
    void set_trusted(std::string ca_pem);

    task<ipc::RelayDone> relay(ipc::Relay job);

    // Where connections go: what the sandbox leaves open.
    std::vector<uint16_t> ports() const;
    // No new jobs; calls done once those that run have ended.
    void drain(std::function<void()> done);

  private:
    struct Settings;
    void finished();
    std::shared_ptr<const TlsContexts> contexts();

    Nursery& nursery_;
    NameService& names_;
    Clock& clock_;
    Random& random_;
    const Timeouts timeouts_;
    Pool pool_;
    std::shared_ptr<const Settings> settings_;
    std::string ca_pem_; // not yet read
    std::shared_ptr<const TlsContexts> contexts_;
    Gate free_;
    size_t running_ = 0;          // jobs, those that wait included
    int64_t running_at_once_ = 0; // jobs that have a session
    bool draining_ = false;
    std::function<void()> on_drained_;
};

} // namespace tambo::relayd

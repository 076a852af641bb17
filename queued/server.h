// The parts of queued put together: what main() starts and master talks to.
#pragma once

#include "common/ipc/admin.h"
#include "common/ipc/control.h"
#include "queued/admin.h"
#include "queued/dispatch.h"
#include "queued/intake.h"
#include "queued/recover.h"
#include "queued/report.h"

#include <functional>
#include <memory>
#include <optional>
#include <set>

namespace tambo::queued {

class Server {
  public:
    struct World {
        Loop& loop;
        Nursery& nursery;
        Clock& clock;
        Random& random;
    };
    // Opens the spool in the current directory, which `spool` refers to, and recovers it. Throws
    // db::DbError, std::system_error. disk: nullptr for the real one; must outlive the server.
    // The nursery must have emptied before the server goes.
    Server(World world,
           UniqueFd spool,
           conf::QueuedConfig config,
           uint32_t boot_epoch,
           Disk* disk = nullptr);

    // Takes the peers from master and follows its orders.
    void connect(ipc::Control& control);
    void serve(ipc::AdminServer& admin);
    // Deliveries begin.
    void start();

    ipc::Channel& authd() { return authd_; }
    ipc::Channel& deliverd() { return deliverd_; }
    // The object that serves one smtpd; lives as long as its channel.
    std::shared_ptr<void> make_intake(ipc::Channel& channel, ipc::Service service);
    // The same of a relayd.
    std::shared_ptr<void> make_relay(ipc::Channel& channel);

    void configure(conf::QueuedConfig config);
    void set_read_only(bool read_only);
    // Lets what runs come to its end, at most for grace_ms, makes everything durable, then calls
    // on_drained.
    void drain(int64_t grace_ms);
    std::function<void()> on_drained;
    std::function<void(const std::string& why)> on_fault;

    Queue& queue() { return queue_; }
    Dispatcher& dispatcher() { return dispatcher_; }
    Syncer& syncer() { return syncer_; }

  private:
    static conf::QueuedConfig checked(conf::QueuedConfig config);
    task<> finish(int64_t grace_ms);

    World world_;
    spool::Directory spool_;
    spool::QueueDb db_;
    std::unique_ptr<Disk> own_disk_;
    Disk& disk_;
    Recovered recovered_;
    Syncer syncer_;
    Workers workers_;
    Committer committer_;
    Queue queue_;
    ipc::Channel authd_, deliverd_;
    Reports reports_;
    Outcomes outcomes_;
    Dispatcher dispatcher_;
    std::set<Intake*> intakes_;
    std::optional<Admin> admin_;
};

} // namespace tambo::queued

#include "queued/server.h"

#include "common/sys/log.h"

namespace tambo::queued {

namespace {

constexpr int64_t kSaveUptimeMs = 600'000; // RULES.md R23
constexpr int64_t kDrainPollMs = 5;
constexpr const char* kDatabase = "queue.db";
constexpr const char* kDatabaseLog = "queue.db-wal";

std::unique_ptr<Disk> disk_unless(const Disk* given, const spool::Directory& spool) {
    if (given != nullptr) return nullptr;
    return std::make_unique<SystemDisk>(spool.fd(), kDatabaseLog);
}

void log_accepted(const Acceptance& acceptance) {
    const spool::Envelope& envelope = acceptance.envelope;
    if (envelope.source == spool::Source::queue) return; // queue.report said it
    log::Event event("queue.accepted");
    event.qid(envelope.qid).sid(envelope.sid).rcpt(acceptance.recipients.front().original);
    event.with("from", envelope.reverse_path).with("login", envelope.login);
    event.with("bytes", static_cast<int64_t>(envelope.prefix.size() + envelope.length));
    event.with("targets", static_cast<int64_t>(acceptance.recipients.size()));
    event.with("message_id", envelope.message_id).with("client", envelope.client_ip);
}

} // namespace

Server::Server(
    World world, UniqueFd spool, conf::QueuedConfig config, uint32_t boot_epoch, Disk* disk)
    : world_(world), spool_(std::move(spool)), db_(kDatabase), own_disk_(disk_unless(disk, spool_)),
      disk_(disk != nullptr ? *disk : *own_disk_),
      recovered_(recover(spool_, db_, disk_, world.clock.now(), config.retry_max_ms, boot_epoch)),
      syncer_(world.loop, disk_, world.clock), workers_(world.loop, 1),
      committer_(world.nursery, db_, syncer_, world.clock),
      queue_({world.nursery, world.clock, world.random, spool_, db_, committer_},
             std::move(config),
             recovered_.epoch),
      authd_(world.nursery, "authd"), deliverd_(world.nursery, "deliverd"),
      reports_(queue_, authd_), outcomes_(queue_, reports_),
      dispatcher_(queue_, outcomes_, deliverd_) {
    reports_.set_outcomes(outcomes_);
    committer_.set_durable_seq(recovered_.durable_seq);
    for (const Id& qid : recovered_.last)
        queue_.remember(qid);
    committer_.on_accepted = [this](Acceptance& acceptance) {
        queue_.remember(acceptance.envelope.qid);
        log_accepted(acceptance);
        dispatcher_.take(acceptance);
    };
    committer_.on_fault = [this](const std::string& why) {
        log::Event("queue.storage_failed", log::Level::critical).with("what", why);
        if (on_fault) on_fault(why);
    };
    world.nursery.on_error = [this](const std::exception& error) {
        log::Event("queue.unexpected", log::Level::error).with("error", error.what());
        // Whoever could not read or write the queue knows no outcome: nothing goes on.
        if (dynamic_cast<const db::DbError*>(&error) != nullptr) {
            committer_.fail_storage(error.what());
        }
    };
}

void Server::start() {
    world_.nursery.spawn(committer_.run());
    world_.nursery.spawn(committer_.run_beside());
    world_.nursery.spawn(dispatcher_.run());
    world_.nursery.spawn(sweep(world_.nursery, spool_, db_, committer_, recovered_.epoch));
    world_.loop.every(kSaveUptimeMs, [this] { queue_.save_uptime(); });
}

std::shared_ptr<void> Server::make_intake(ipc::Channel& channel, ipc::Service service) {
    const IntakeWorld world{queue_, authd_, workers_};
    auto* intake = new Intake(world, channel, service);
    intakes_.insert(intake);
    return std::shared_ptr<void>(intake, [this](void* gone) {
        auto* old = static_cast<Intake*>(gone);
        intakes_.erase(old);
        delete old;
    });
}

std::shared_ptr<void> Server::make_relay(ipc::Channel& channel) {
    dispatcher_.add_relay(channel);
    return std::shared_ptr<void>(&channel, [this](void* gone) {
        dispatcher_.remove_relay(*static_cast<ipc::Channel*>(gone));
    });
}

void Server::connect(ipc::Control& control) {
    control.bind("authd", authd_);
    control.bind("deliverd", deliverd_);
    control.accept(
        "mx.", [this](ipc::Channel& channel) { return make_intake(channel, ipc::Service::mx); });
    control.accept("submit.", [this](ipc::Channel& channel) {
        return make_intake(channel, ipc::Service::submission);
    });
    control.accept("relayd.", [this](ipc::Channel& channel) { return make_relay(channel); });
    control.on_configure = [this](const ipc::Configure& message) {
        if (auto fresh = ipc::decode<conf::QueuedConfig>(message.config)) {
            configure(std::move(*fresh));
        }
    };
    control.on_storage_state = [this](bool read_only) { set_read_only(read_only); };
    control.on_drain = [this](int64_t grace_ms) { drain(grace_ms); };
    on_fault = [&control](const std::string& why) { control.report_fault(why); };
    on_drained = [this] { world_.loop.stop(); };
}

void Server::serve(ipc::AdminServer& admin) {
    admin_.emplace(queue_, dispatcher_, syncer_, admin);
    admin_->open_transactions = [this] {
        size_t open = 0;
        for (const Intake* intake : intakes_)
            open += intake->open_count();
        return open;
    };
}

void Server::configure(conf::QueuedConfig config) {
    queue_.configure(std::move(config));
    dispatcher_.refresh();
}

void Server::set_read_only(bool read_only) {
    queue_.set_read_only(read_only);
    dispatcher_.refresh();
}

void Server::drain(int64_t grace_ms) {
    queue_.start_draining();
    world_.nursery.spawn(finish(grace_ms));
}

// A delivery is over when its row has gone, which takes several rounds of the committer: a result
// records a change, and the barrier behind it another one.
task<> Server::finish(int64_t grace_ms) {
    const int64_t end = world_.clock.monotonic_ms() + grace_ms;
    committer_.hurry();
    for (;;) {
        const bool quiet =
            dispatcher_.schedule().running() == 0 && reports_.under_way() == 0 && committer_.idle();
        if (quiet || committer_.failed() || world_.clock.monotonic_ms() >= end) break;
        co_await sleep_ms(world_.nursery, kDrainPollMs);
    }
    if (!committer_.failed() && committer_.idle()) {
        mark_clean(db_, committer_.last_seq(), queue_.uptime_ms());
        db_.database().checkpoint();
    }
    if (on_drained) on_drained();
}

} // namespace tambo::queued

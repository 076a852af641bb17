// A whole queued in one process: real spool, real queue.db, fake neighbours on socket pairs.
#pragma once

#include "common/sys/fdpass.h"
#include "queued/server.h"
#include "tests/unit/queued/fake_neighbours.h"
#include "tests/unit/queued/harness.h"
#include "tests/unit/queued/transaction.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

namespace tambo::test {

// The real clock, moved ahead as a test likes.
class MovedClock final : public Clock {
  public:
    int64_t wall_jump_ms = 0, passed_ms = 0;
    UtcTime now() override { return UtcTime{real_.now().ms + passed_ms + wall_jump_ms}; }
    int64_t monotonic_ms() override { return real_.monotonic_ms() + passed_ms; }

  private:
    SystemClock real_;
};

inline conf::QueuedConfig test_config() {
    conf::QueuedConfig config;
    config.hostname = "mx.home.test";
    config.retry_min_ms = 60'000;
    config.retry_max_ms = 4'000'000;
    config.lifetime_ms = 432'000'000;
    config.bounce_lifetime_ms = 172'800'000;
    config.delay_notice_ms = 4 * 3'600'000;
    config.message_size_max = 50 << 20;
    config.recipients_max = 1000;
    config.disk_reserve = 0;
    config.relay_sessions_max = 10;
    return config;
}

// One life of queued: ends without saying goodbye to anybody.
struct Life {
    MovedClock& clock;
    std::string spool;
    Running running;
    SystemRandom random;
    queued::Server server;
    FakeAuthd authd;
    FakeDeliverd deliverd;
    FakeRelayd relayd;
    ipc::Channel authd_side{running.nursery, "queued"}, deliverd_side{running.nursery, "queued"},
        relayd_side{running.nursery, "queued"}, relay{running.nursery, "relayd.0"};
    ipc::Channel mx{running.nursery, "queued"}, mx_side{running.nursery, "mx.0"};
    ipc::Channel submit{running.nursery, "queued"}, submit_side{running.nursery, "submit.0"};
    std::shared_ptr<void> mx_intake, submit_intake, relay_object;
    std::string fault;

    static int enter(const std::string& path) {
        REQUIRE(::chdir(path.c_str()) == 0);
        return 0;
    }
    Life(const std::string& spool_path,
         CountingDisk& disk,
         MovedClock& moved,
         conf::QueuedConfig config = test_config())
        : clock(moved), spool(spool_path), server({running.loop, running.nursery, moved, random},
                                                  open_or_throw(spool_path, O_RDONLY | O_DIRECTORY),
                                                  std::move(config),
                                                  static_cast<uint32_t>(enter(spool_path)),
                                                  &disk) {
        authd_side.on<ipc::Resolve>(authd, &FakeAuthd::resolve);
        deliverd.spool = spool;
        authd.nursery = deliverd.nursery = relayd.nursery = &running.nursery;
        deliverd_side.on<ipc::Deliver>(deliverd, &FakeDeliverd::deliver);
        relayd_side.on<ipc::Relay>(relayd, &FakeRelayd::relay);
        server.on_fault = [this](const std::string& why) { fault = why; };
        connect(server.authd(), authd_side);
        connect(server.deliverd(), deliverd_side);
        relay_object = server.make_relay(relay);
        connect(relay, relayd_side);
        mx_intake = server.make_intake(mx_side, ipc::Service::mx);
        connect(mx_side, mx);
        submit_intake = server.make_intake(submit_side, ipc::Service::submission);
        connect(submit_side, submit);
        server.start();
    }
    ~Life() { end(); }
    void end() {
        if (ended_) return;
        ended_ = true;
        deliverd.silent = relayd.silent = false;
        running.finish();
        for (auto* channel : {&mx, &mx_side, &submit, &submit_side, &relay, &relayd_side,
                              &authd_side, &deliverd_side}) {
            channel->on_lost = nullptr;
            channel->on_attached = nullptr;
        }
        mx_intake.reset();
        submit_intake.reset();
        relay_object.reset();
    }
    static void connect(ipc::Channel& a, ipc::Channel& b) {
        auto [x, y] = socket_pair(SOCK_SEQPACKET);
        a.attach(std::move(x));
        b.attach(std::move(y));
    }
    void pass(int64_t ms) {
        clock.passed_ms += ms;
        server.dispatcher().refresh();
    }

    // ---- smtpd's part
    Outcome send(Message message, bool submission = false) {
        Outcome outcome;
        running.nursery.spawn(transact(submission ? submit : mx, std::move(message), outcome));
        running.until([&] { return outcome.done; });
        return outcome;
    }
    bool asked(const Id& qid) {
        bool done = false, accepted = false;
        running.nursery.spawn([](ipc::Channel& queue, Id id, bool& d, bool& a) -> task<> {
            ipc::AskCommitted question;
            question.qid = id;
            auto answer = co_await queue.call(std::move(question));
            a = answer.accepted;
            d = true;
        }(mx, qid, done, accepted));
        running.until([&] { return done; });
        return accepted;
    }

    // ---- looking
    spool::QueueDb& db() { return server.queue().db; }
    bool body_exists(const Id& qid) const {
        return std::filesystem::exists(spool + "/bodies/" + spool::body_path(qid));
    }
    size_t bodies() const {
        size_t count = 0;
        for (const auto& item : std::filesystem::recursive_directory_iterator(spool)) {
            const bool own = item.is_regular_file() && item.path().parent_path() != spool;
            if (own && item.path().parent_path().filename() != "lost") ++count;
        }
        return count;
    }
    bool empty() { return db().count(UtcTime{0}).messages == 0 && bodies() == 0; }
    void until_empty() {
        server.queue().committer.hurry(); // what is lazy need not be waited for
        running.until([&] { return empty(); });
    }

  private:
    bool ended_ = false;
};

// A spool that outlives several lives.
struct Spool {
    Scratch scratch;
    std::string path = scratch / "spool";
    CountingDisk disk;
    MovedClock clock;
    Spool() { std::filesystem::create_directory(path); }
};

} // namespace tambo::test

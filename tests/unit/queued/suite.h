// A whole queued in one process: real spool, real queue.db, fake neighbours on socket pairs.
#pragma once

#include "common/base/bytes.h"
#include "common/ipc/messages/delivery.h"
#include "common/ipc/messages/relayd.h"
#include "common/sys/fdpass.h"
#include "queued/server.h"
#include "tests/unit/queued/harness.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <map>

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

inline ipc::Target local_target(uint64_t account, const std::string& address) {
    ipc::Target target;
    target.account = Id{1, account};
    target.address = address;
    return target;
}

inline ipc::Target remote_target(const std::string& address) {
    ipc::Target target;
    target.kind = ipc::TargetKind::remote;
    target.address = address;
    return target;
}

// Knows alice@, bob@ and postmaster at home.test; everything elsewhere is remote.
struct FakeAuthd {
    std::vector<ipc::Resolve> asked;
    ipc::ReplyText refuse_all;
    Nursery* nursery = nullptr;
    size_t most_at_once = 50; // recipients in an answer
    std::string silent_for; // no answer to questions about this address
    std::map<std::string, ipc::ResolvedRecipient> special;

    task<ipc::Resolution> resolve(ipc::Resolve question) {
        asked.push_back(question);
        while (!silent_for.empty() && question.recipients[0] == silent_for) {
            co_await sleep_ms(*nursery, 1);
        }
        ipc::Resolution answer;
        answer.refusal = refuse_all;
        if (question.service == ipc::Service::submission) answer.login = "alice@home.test";
        for (const auto& address : question.recipients) {
            if (answer.recipients.size() < most_at_once) answer.recipients.push_back(one(address));
        }
        co_return answer;
    }
    ipc::ResolvedRecipient one(const std::string& address) {
        ipc::ResolvedRecipient r;
        if (const auto found = special.find(address); found != special.end()) return found->second;
        if (address == "alice@home.test") {
            r.targets = {local_target(1, address)};
        } else if (address == "bob@home.test") {
            r.targets = {local_target(2, address)};
        } else if (address == "postmaster") {
            r.targets = {local_target(1, "alice@home.test")};
        } else if (address.ends_with("@home.test")) {
            r.refusal = {550, "5.1.1", "no such user"};
        } else {
            r.targets = {remote_target(address)};
        }
        return r;
    }
};

struct FakeDeliverd {
    std::string spool;
    Nursery* nursery = nullptr;
    std::vector<ipc::Deliver> got;
    std::vector<std::string> bodies;
    ipc::Delivered answer;
    bool silent = false; // takes deliveries and never answers
    int answered = 0;

    FakeDeliverd() {
        answer.outcome = ipc::DeliveryOutcome::stored;
        answer.mailbox = "INBOX";
    }
    task<ipc::Delivered> deliver(ipc::Deliver request) {
        got.push_back(request);
        bodies.push_back(read_file(spool + "/bodies/" + request.spool_name, 1 << 24));
        while (silent)
            co_await sleep_ms(*nursery, 1);
        ++answered;
        co_return answer;
    }
};

struct FakeRelayd {
    Nursery* nursery = nullptr;
    std::vector<std::string> bodies;
    std::vector<ipc::Relay> got; // without their descriptors
    std::function<ipc::RelayResult(const std::string& address)> judge;
    bool silent = false;

    FakeRelayd() {
        judge = [](const std::string&) {
            ipc::RelayResult result;
            result.outcome = ipc::RelayOutcome::sent;
            result.from_peer = true;
            result.status = {250, "2.0.0", "ok"};
            return result;
        };
    }
    task<ipc::RelayDone> relay(ipc::Relay request) {
        bodies.push_back(read_whole(request.body.get(), 1 << 24, "body"));
        CHECK((::fcntl(request.body.get(), F_GETFL) & O_ACCMODE) == O_RDONLY);
        request.body.reset();
        ipc::RelayDone done;
        done.host = "mx.remote.test";
        for (const auto& [number, address] : request.recipients) {
            done.results.push_back(judge(address));
            done.results.back().rcpt_no = number;
        }
        got.push_back(std::move(request));
        while (silent)
            co_await sleep_ms(*nursery, 1);
        co_return done;
    }
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
    struct Message {
        std::string from = "sender@away.test";
        std::vector<std::string> to{"bob@home.test"};
        std::string text = "Subject: hello\r\nMessage-ID: <m1@away.test>\r\n\r\nHello Bob.\r\n";
        int64_t length_error = 0;
        uint32_t crc_error = 0;
        bool keep_writer = false, no_envelope = false;
        std::string helo = "away.test";
        std::string token = "token", ret, envid;
        std::string prefix = "Received: from away.test by mx.home.test\r\n";
    };
    struct Outcome {
        Id qid;
        ipc::ReplyText open, commit;
        bool done = false, lost = false;
    };
    static task<> transact(ipc::Channel& queue, Message m, Outcome& out) {
        ipc::OpenSpool request;
        auto opened = co_await queue.call(std::move(request));
        out.open = opened.refusal;
        out.qid = opened.qid;
        if (out.open.code != 0) {
            out.done = true;
            co_return;
        }
        write_all(opened.body.get(), m.text, "body");
        UniqueFd kept;
        if (m.keep_writer) kept = std::move(opened.body);
        opened.body.reset();
        if (!m.no_envelope) send_envelope(queue, opened.qid, m);
        ipc::Commit commit;
        commit.qid = opened.qid;
        commit.length = static_cast<uint64_t>(static_cast<int64_t>(m.text.size()) + m.length_error);
        commit.crc32c = crc32c(0, m.text) ^ m.crc_error;
        try {
            out.commit = co_await queue.call(std::move(commit));
        } catch (const ipc::PeerLost&) {
            out.lost = true;
        }
        out.done = true;
    }
    static void send_envelope(ipc::Channel& queue, const Id& qid, const Message& m) {
        ipc::EnvelopeStart start;
        start.qid = qid;
        start.sid = "session1";
        start.token = m.token;
        start.parameters.ret = m.ret;
        start.parameters.envid = m.envid;
        start.reverse_path = m.from;
        start.helo = m.helo;
        start.prefix = m.prefix;
        queue.send(start);
        for (size_t i = 0; i < m.to.size();) {
            ipc::EnvelopeRecipients some;
            some.qid = qid;
            for (; i < m.to.size() && some.recipients.size() < 50; ++i) {
                some.recipients.push_back({m.to[i], "", ""});
            }
            queue.send(some);
        }
    }
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

// What a crash leaves, step by step: each test ends one life of queued at a point and begins the
// next one over the same directory.
#include "tests/unit/queued/life.h"

using namespace tambo;
using namespace tambo::test;

namespace {

void put_body(const std::string& spool, const Id& qid, std::string_view text) {
    const UniqueFd fd =
        open_or_throw(spool + "/bodies/" + spool::body_path(qid), O_WRONLY | O_CREAT | O_TRUNC, 0640);
    write_all(fd.get(), text, "body");
}

spool::Envelope envelope(int64_t seq, const Id& qid, std::string_view text) {
    spool::Envelope e;
    e.seq = seq;
    e.qid = qid;
    e.reverse_path = "sender@away.test";
    e.length = text.size();
    e.crc32c = crc32c(0, text);
    e.accepted = SystemClock().now();
    return e;
}

spool::Recipient remote(uint32_t no, UtcTime next) {
    spool::Recipient r;
    r.rcpt_no = no;
    r.kind = spool::Kind::remote;
    r.original = r.address = "carol@away.test";
    r.destination = "away.test";
    r.next_attempt = next;
    return r;
}

// Ends when the disk lets a barrier begin but not end, as a power cut would.
Id life_cut_during_barrier(Spool& spool) {
    Life life(spool.path, spool.disk, spool.clock);
    spool.disk.hold();
    Outcome outcome;
    life.running.nursery.spawn(transact(life.mx, {}, outcome));
    const int before = spool.disk.begun;
    life.running.until([&] { return spool.disk.begun > before; });
    const Id qid = outcome.qid;
    spool.disk.fails = true;
    spool.disk.release();
    life.mx.drop("killed");
    life.running.until([&] { return outcome.lost; });
    spool.disk.fails = false;
    return qid;
}

} // namespace

TEST_CASE("crash with an open transaction: the body goes, nobody was told anything") {
    Spool spool;
    Id qid;
    {
        Life life(spool.path, spool.disk, spool.clock);
        ipc::SpoolOpened opened;
        bool done = false;
        life.running.nursery.spawn([](Life& l, ipc::SpoolOpened& o, bool& d) -> task<> {
            ipc::OpenSpool request;
            o = co_await l.mx.call(std::move(request));
            d = true;
        }(life, opened, done));
        life.running.until([&] { return done; });
        qid = opened.qid;
        life.mx_side.on_lost = nullptr; // a killed process hears of nothing
    }
    Life life(spool.path, spool.disk, spool.clock);
    CHECK_FALSE(life.asked(qid));
    life.until_empty();
}

TEST_CASE("crash between acceptance and delivery: delivered by the next life, smtpd hears yes") {
    Spool spool;
    Id qid;
    {
        Life life(spool.path, spool.disk, spool.clock);
        life.deliverd.silent = true;
        qid = life.send({}).qid;
    }
    Life life(spool.path, spool.disk, spool.clock);
    CHECK(life.asked(qid));
    life.until_empty();
    REQUIRE(life.deliverd.got.size() == 1);
    CHECK(life.deliverd.got[0].facts.qid == qid);
    CHECK(life.asked(qid)); // also when it has left the queue
}

TEST_CASE("crash after a delivery, before its barrier: offered again with the same key") {
    Spool spool;
    Id qid;
    {
        Life life(spool.path, spool.disk, spool.clock);
        qid = life.send({}).qid;
        life.running.until([&] { return life.deliverd.answered == 1; });
    }
    Life life(spool.path, spool.disk, spool.clock);
    CHECK(life.body_exists(qid));
    life.deliverd.answer.outcome = ipc::DeliveryOutcome::duplicate;
    life.until_empty();
    REQUIRE(life.deliverd.got.size() == 1);
    CHECK(life.deliverd.got[0].facts.qid == qid);
    CHECK(life.deliverd.got[0].facts.rcpt_no == 0);
}

TEST_CASE("crash after the row went, before the body: the body is swept") {
    Spool spool;
    Id qid;
    {
        Life life(spool.path, spool.disk, spool.clock);
        life.deliverd.silent = true;
        qid = life.send({}).qid;
        spool::QueueDb::Batch batch(life.db());
        life.db().remove(life.db().find(qid)->seq);
        batch.commit();
    }
    Life life(spool.path, spool.disk, spool.clock);
    REQUIRE(life.body_exists(qid));
    life.until_empty();
    CHECK(life.deliverd.got.empty());
}

TEST_CASE("the sweep leaves the body of a row that has gone, until the barrier behind it") {
    Spool spool;
    const std::string text = "Subject: x\r\n\r\n";
    const Id qid{1, 255}; // in the bucket that is swept last
    {
        Life life(spool.path, spool.disk, spool.clock);
        put_body(spool.path, qid, text);
        const int64_t seq = life.server.queue().committer.last_seq() + 1;
        spool::QueueDb::Batch batch(life.db());
        life.db().insert(envelope(seq, qid, text), std::array{remote(0, UtcTime{0})});
        batch.commit();
    }
    Life life(spool.path, spool.disk, spool.clock);
    spool.disk.hold();
    life.running.until([&] { return !life.db().holds(qid); });
    life.running.run_for(1000);
    // A power cut now may bring the row back, and relayd would find nothing to send.
    CHECK(life.body_exists(qid));
    spool.disk.release();
    life.until_empty();
    CHECK(life.relayd.got.size() == 1);
}

TEST_CASE("a mix of a stored, a sent and a waiting recipient: only the waiting one comes again") {
    Spool spool;
    {
        Life life(spool.path, spool.disk, spool.clock);
        life.relayd.judge = [](const std::string& address) {
            ipc::RelayResult result = FakeRelayd().judge(address);
            if (address.starts_with("slow")) {
                result.outcome = ipc::RelayOutcome::deferred;
                result.status = {451, "4.3.2", "busy"};
            }
            return result;
        };
        const auto outcome =
            life.send(message_to({"bob@home.test", "fast@away.test", "slow@away.test"}), true);
        REQUIRE(outcome.commit.code == 250);
        life.server.queue().committer.hurry();
        life.running.until([&] {
            const auto rows = life.db().recipients(life.db().find(outcome.qid)->seq);
            return rows.size() == 1 && rows[0].second.attempts == 1;
        });
    }
    spool.clock.passed_ms += 120'000;
    Life life(spool.path, spool.disk, spool.clock);
    life.until_empty();
    CHECK(life.deliverd.got.empty());
    REQUIRE(life.relayd.got.size() == 1);
    CHECK(life.relayd.got[0].attempt == 2);
    CHECK(life.relayd.got[0].recipients[0].second == "slow@away.test");
}

TEST_CASE("power cut before the barrier: a row without its body was never acknowledged") {
    Spool spool;
    const std::string text = "Subject: x\r\n\r\n";
    const Id whole{1, 1}, missing{1, 2}, torn{1, 3};
    {
        Life life(spool.path, spool.disk, spool.clock);
        const int64_t last = life.server.queue().committer.last_seq();
        put_body(spool.path, whole, text);
        put_body(spool.path, torn, text.substr(0, 3));
        spool::QueueDb::Batch batch(life.db());
        int64_t seq = last;
        for (const Id& qid : {whole, missing, torn}) {
            life.db().insert(envelope(++seq, qid, text), std::array{remote(0, UtcTime{0})});
        }
        batch.commit();
    }
    Life life(spool.path, spool.disk, spool.clock);
    CHECK(life.asked(whole));
    CHECK_FALSE(life.asked(missing));
    CHECK_FALSE(life.asked(torn));
    life.until_empty();
    CHECK(life.relayd.got.size() == 1);
    CHECK(std::filesystem::exists(spool.path + "/lost/" + torn.text()));
}

TEST_CASE("only messages behind the durable mark are read at start") {
    Spool spool;
    const std::string text = "Subject: x\r\n\r\n";
    {
        Life life(spool.path, spool.disk, spool.clock);
        spool::QueueDb::Batch batch(life.db());
        life.db().insert(envelope(5, Id{1, 5}, text),
                         std::array{remote(0, UtcTime{INT64_MAX / 2})});
        life.db().set_number("durable", 5);
        batch.commit();
    }
    // Its body is missing: a look at it would drop the row.
    Life life(spool.path, spool.disk, spool.clock);
    CHECK(life.db().holds(Id{1, 5}));
    CHECK(life.db().next_due({})->ms <= life.clock.now().ms + 4'000'000); // pulled in
}

TEST_CASE("a failed barrier refuses, and the next life does not deliver what was refused") {
    Spool spool;
    const Id qid = life_cut_during_barrier(spool);
    Life life(spool.path, spool.disk, spool.clock);
    CHECK_FALSE(life.asked(qid));
    life.until_empty();
    CHECK(life.deliverd.got.empty());
}

TEST_CASE("queue ids never come again, and each life has an epoch of its own") {
    Spool spool;
    std::vector<uint64_t> epochs;
    for (int i = 0; i < 3; ++i) {
        Life life(spool.path, spool.disk, spool.clock);
        const Id first = life.server.queue().next_id(), second = life.server.queue().next_id();
        CHECK(first < second);
        epochs.push_back(first.high >> 32);
    }
    CHECK(epochs == std::vector<uint64_t>{1, 2, 3});
    std::filesystem::create_directory(spool.scratch / "other");
    REQUIRE(::chdir((spool.scratch / "other").c_str()) == 0);
    spool::Directory directory(open_or_throw(".", O_RDONLY | O_DIRECTORY));
    spool::QueueDb db("queue.db");
    CHECK(queued::recover(directory, db, spool.disk, UtcTime{0}, 1, 77).epoch == 77);
}

TEST_CASE("crash before a bounce is written: the next life writes it") {
    Spool spool;
    {
        Life life(spool.path, spool.disk, spool.clock);
        life.authd.silent_for = "sender@away.test";
        CHECK(life.send(message_to({"bob@home.test", "gone@home.test"})).commit.code == 250);
        life.running.run_for(20);
        CHECK(life.relayd.got.empty());
    }
    Life life(spool.path, spool.disk, spool.clock);
    life.until_empty();
    REQUIRE(life.relayd.got.size() == 1);
    CHECK(life.relayd.bodies[0].find("gone@home.test") != std::string::npos);
}

TEST_CASE("a bounce is written once, however often the failure is seen") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.authd.silent_for = "sender@away.test";
    life.send(message_to({"bob@home.test", "gone@home.test"}));
    for (int i = 0; i < 3; ++i) {
        life.server.dispatcher().look_again();
        life.running.run_for(20);
    }
    CHECK(life.authd.asked.size() >= 4); // the failure was seen again and again
    life.authd.silent_for.clear();
    life.until_empty();
    CHECK(life.relayd.got.size() == 1);
}

TEST_CASE("a queue.db that was lost: bodies are set aside, not removed") {
    Spool spool;
    {
        Life life(spool.path, spool.disk, spool.clock);
        life.deliverd.silent = true;
        life.send({});
    }
    std::filesystem::remove(spool.path + "/queue.db");
    std::filesystem::remove(spool.path + "/queue.db-wal");
    put_body(spool.path, Id{0, 0x77}, "old");
    Life life(spool.path, spool.disk, spool.clock);
    life.running.until([&] { return life.bodies() <= 1; });
    CHECK(std::filesystem::exists(spool.path + "/lost/" + Id{0, 0x77}.text()));
}

TEST_CASE("a damaged queue.db stops the start instead of losing mail") {
    Spool spool;
    {
        Life life(spool.path, spool.disk, spool.clock);
        life.deliverd.silent = true;
        for (int i = 0; i < 20; ++i)
            life.send({});
        life.db().database().checkpoint_truncate();
    }
    {
        const UniqueFd fd = open_or_throw(spool.path + "/queue.db", O_RDWR);
        for (off_t at = 8192; at < 40'960; at += 4096) {
            REQUIRE(::pwrite(fd.get(), "damaged damaged damaged", 23, at + 8) == 23);
        }
    }
    CHECK_THROWS_AS(Life(spool.path, spool.disk, spool.clock), db::DbError);
    CHECK(std::filesystem::exists(spool.path + "/queue.db"));
}

TEST_CASE("a hundred thousand queued recipients are loaded a window at a time") {
    Spool spool;
    constexpr uint32_t kMany = 100'000;
    {
        Life life(spool.path, spool.disk, spool.clock);
        std::vector<spool::Recipient> rows;
        spool::QueueDb::Batch batch(life.db());
        for (uint32_t i = 0; i < kMany; ++i) {
            rows.push_back(remote(i % 100, UtcTime{1}));
            rows.back().destination = "d" + std::to_string(i % 997) + ".test";
            if (rows.size() < 100) continue;
            life.db().insert(envelope(1 + i / 100, Id{1, i}, ""), rows);
            put_body(spool.path, Id{1, i}, "");
            rows.clear();
        }
        life.db().set_number("durable", kMany);
        batch.commit();
    }
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.silent = true;
    const auto& schedule = life.server.dispatcher().schedule();
    life.running.until([&] { return schedule.room() < queued::Schedule::kWindow / 8; });
    CHECK(schedule.active() <= queued::Schedule::kWindow);
    life.running.run_for(50);
    CHECK(schedule.active() <= queued::Schedule::kWindow);
}

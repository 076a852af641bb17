#include "queued/committer.h"

#include "tests/unit/queued/harness.h"

using namespace tambo;
using namespace tambo::queued;
using namespace tambo::test;

namespace {

struct World {
    Scratch scratch;
    Running running;
    SystemClock clock;
    CountingDisk disk;
    spool::QueueDb db{scratch / "queue.db"};
    Syncer syncer{running.loop, disk, clock};
    Committer committer{running.nursery, db, syncer, clock};
    int accepted = 0, durable = 0, full = 0, failed = 0;
    uint64_t next_id = 1;
    std::string fault;

    World() {
        committer.on_accepted = [this](Acceptance&) { ++accepted; };
        committer.on_fault = [this](const std::string& why) { fault = why; };
        running.nursery.spawn(committer.run());
        running.nursery.spawn(committer.run_beside());
    }
    ~World() { running.finish(); }

    Acceptance message() {
        Acceptance a;
        a.envelope.qid = Id{1, next_id++};
        a.recipients.emplace_back();
        return a;
    }
    static task<> accept(World& world, Acceptance a) {
        const Accepted outcome = co_await world.committer.accept(std::move(a));
        if (outcome == Accepted::durable) ++world.durable;
        if (outcome == Accepted::disk_full) ++world.full;
        if (outcome == Accepted::failed) ++world.failed;
    }
    void submit(int count) {
        for (int i = 0; i < count; ++i)
            running.nursery.spawn(accept(*this, message()));
    }
    int answers() const { return durable + full + failed; }
};

task<> one_after_the_other(World& world, int count) {
    for (int i = 0; i < count; ++i) {
        Acceptance a = world.message();
        const Accepted outcome = co_await world.committer.accept(std::move(a));
        if (outcome == Accepted::durable) ++world.durable;
    }
}

} // namespace

TEST_CASE("a single message is answered after one barrier of its own") {
    World world;
    world.submit(1);
    world.running.until([&] { return world.answers() == 1; });
    CHECK(world.durable == 1);
    CHECK(world.accepted == 1);
    CHECK(world.disk.filesystem == 1);
    CHECK(world.db.count(UtcTime{0}).messages == 1);
}

TEST_CASE("messages that arrive during a barrier share the next one") {
    World world;
    world.disk.hold();
    world.submit(1);
    world.running.until([&] { return world.disk.begun == 1; });
    world.submit(20);
    world.running.run_for(20);
    CHECK(world.answers() == 0);
    CHECK(world.disk.begun == 1);
    world.disk.release();
    world.running.until([&] { return world.answers() == 21; });
    CHECK(world.durable == 21);
    CHECK(world.disk.filesystem == 2);
    CHECK(world.committer.batches() == 2);
}

TEST_CASE("all that waited at the end of a barrier goes together") {
    World world;
    world.disk.hold();
    world.submit(1);
    world.running.until([&] { return world.disk.begun == 1; });
    world.submit(200);
    world.disk.release();
    world.running.until([&] { return world.answers() == 201; });
    CHECK(world.disk.filesystem == 2);
}

TEST_CASE("sessions in parallel cost far less than a barrier for each message") {
    World world;
    for (int i = 0; i < 20; ++i)
        world.running.nursery.spawn(one_after_the_other(world, 50));
    world.running.until([&] { return world.durable == 1000; });
    CHECK(world.disk.filesystem < 100);
}

TEST_CASE("one session alone waits for nobody") {
    World world;
    world.running.nursery.spawn(one_after_the_other(world, 100));
    world.running.until([&] { return world.durable == 100; });
    CHECK(world.disk.filesystem == 100);
}

TEST_CASE("a change rides along, and what follows it comes after the barrier") {
    World world;
    world.disk.hold();
    bool applied = false, followed = false;
    world.committer.record({[&](spool::QueueDb& db) {
                                db.set_number("x", 1);
                                applied = true;
                            },
                            [&] { followed = true; }, nullptr, true},
                           Urgency::lazy);
    world.submit(1);
    world.running.until([&] { return world.disk.begun == 1; });
    CHECK(applied);
    CHECK_FALSE(followed);
    CHECK(world.answers() == 0);
    world.disk.release();
    world.running.until([&] { return followed; });
    world.running.until([&] { return world.answers() == 1; });
    CHECK(world.disk.filesystem == 1);
    CHECK(world.db.number("x") == 1);
}

TEST_CASE("a change that comes while a barrier runs waits for the next one") {
    World world;
    world.disk.hold();
    world.submit(1);
    world.running.until([&] { return world.disk.begun == 1; });
    bool followed = false;
    world.committer.record({{}, [&] { followed = true; }, nullptr, true}, Urgency::now);
    world.disk.release();
    world.running.until([&] { return world.answers() == 1; });
    world.running.until([&] { return followed; });
    CHECK(world.disk.filesystem == 2);
}

TEST_CASE("changes alone go by their urgency; hurry sends the lazy ones") {
    World world;
    int followed = 0;
    const auto count = [&] { ++followed; };
    world.committer.record({{}, count, nullptr, true}, Urgency::lazy);
    world.running.run_for(50);
    CHECK(followed == 0);
    world.committer.record({{}, count, nullptr, false}, Urgency::soon);
    world.running.until([&] { return followed == 2; });
    CHECK(world.disk.filesystem == 1);
    world.committer.record({{}, count, nullptr, true}, Urgency::lazy);
    CHECK_FALSE(world.committer.idle());
    world.committer.hurry();
    world.running.until([&] { return world.committer.idle(); });
    CHECK(followed == 3);
}

TEST_CASE("after a failed barrier nothing is acknowledged, kept or tried again") {
    World world;
    world.disk.fails = true;
    bool followed = false;
    world.committer.record({{}, [&] { followed = true; }, nullptr, true}, Urgency::now);
    world.submit(3);
    world.running.until([&] { return world.answers() == 3; });
    CHECK(world.failed == 3);
    CHECK(world.fault.find("syncfs spool") != std::string::npos);
    CHECK(world.committer.failed());
    CHECK_FALSE(followed);
    CHECK(world.accepted == 0);
    CHECK(world.db.count(UtcTime{0}).messages == 0);
    world.disk.fails = false;
    world.submit(1);
    world.committer.record({{}, [&] { followed = true; }, nullptr, true}, Urgency::now);
    world.running.until([&] { return world.answers() == 4; });
    world.running.run_for(30);
    CHECK(world.failed == 4);
    CHECK_FALSE(followed);
    CHECK(world.disk.begun == 1);
}

TEST_CASE("those who wait behind a failed barrier are refused with it") {
    World world;
    world.disk.hold();
    world.disk.fails = true;
    world.submit(1);
    world.running.until([&] { return world.disk.begun == 1; });
    world.submit(2);
    world.disk.release();
    world.running.until([&] { return world.answers() == 3; });
    CHECK(world.failed == 3);
}

TEST_CASE("a file that cannot be removed counts as a failed disk") {
    World world;
    world.committer.record(
        {{},
         [] { throw std::system_error(EROFS, std::generic_category(), "remove"); },
         nullptr,
         false},
        Urgency::now);
    world.running.until([&] { return world.committer.failed(); });
    CHECK(world.fault.find("remove") != std::string::npos);
}

TEST_CASE("a message whose client has gone is left out") {
    World world;
    world.disk.hold();
    world.submit(1);
    world.running.until([&] { return world.disk.begun == 1; });
    const auto abandoned = std::make_shared<bool>(false);
    Acceptance a = world.message();
    const Id qid = a.envelope.qid;
    a.abandoned = abandoned;
    world.running.nursery.spawn(World::accept(world, std::move(a)));
    *abandoned = true;
    world.disk.release();
    world.running.until([&] { return world.answers() == 2; });
    CHECK_FALSE(world.db.holds(qid));
    CHECK(world.accepted == 1);
}

TEST_CASE("a full disk refuses messages and keeps outcomes for later") {
    World world;
    auto& database = world.db.database();
    database.execute("CREATE TABLE filler (x); INSERT INTO filler VALUES (zeroblob(65536))");
    const auto pages = database.integer("SELECT page_count FROM pragma_page_count");
    REQUIRE(pages);
    database.execute("PRAGMA max_page_count=" + std::to_string(*pages));
    Acceptance big = world.message();
    big.envelope.prefix.assign(200'000, 'x');
    int applied = 0;
    bool followed = false;
    world.committer.record({[&](spool::QueueDb& db) { db.set_number("x", ++applied); },
                            [&] { followed = true; }, nullptr, false},
                           Urgency::lazy);
    world.running.nursery.spawn(World::accept(world, std::move(big)));
    world.running.until([&] { return world.answers() == 1; });
    CHECK(world.full == 1);
    CHECK_FALSE(world.committer.failed());
    CHECK_FALSE(followed);
    world.running.until([&] { return followed; });
    CHECK(world.db.number("x") > 0);
    world.submit(1);
    world.running.until([&] { return world.answers() == 2; });
    CHECK(world.durable == 1);
}

TEST_CASE("numbers of messages are never used again") {
    World world;
    world.submit(3);
    world.running.until([&] { return world.answers() == 3; });
    world.submit(1);
    world.running.until([&] { return world.answers() == 4; });
    CHECK(world.db.number("durable") == 3);
    {
        spool::QueueDb::Batch batch(world.db);
        for (int64_t seq = 1; seq <= 4; ++seq)
            world.db.remove(seq);
        batch.commit();
    }
    Committer next(world.running.nursery, world.db, world.syncer, world.clock);
    CHECK(next.last_seq() == 3);
}

#include "queued/syncer.h"

#include "queued/committer.h"
#include "tests/unit/queued/harness.h"

using namespace tambo;
using namespace tambo::queued;
using namespace tambo::test;

namespace {

void add(BarrierChoice& choice, int count, int64_t ms) {
    for (int i = 0; i < count; ++i)
        choice.add(ms);
}

// Each syncfs takes as long as said, without anybody waiting for it.
class SlowDisk final : public Disk {
  public:
    explicit SlowDisk(ManualClock& clock) : clock_(clock) {}
    void sync_filesystem() override {
        clock_.pass(ms);
        ++filesystem;
    }
    void sync_files(std::span<const int> bodies) override {
        clock_.pass(file_ms * static_cast<int>(bodies.size() + 1));
        ++files;
        bodies_synced += static_cast<int>(bodies.size());
    }
    std::atomic<int> ms{0}, file_ms{0}, filesystem{0}, files{0}, bodies_synced{0};

  private:
    ManualClock& clock_;
};

task<> barriers(Syncer& syncer, int count, int& done, size_t files = 2) {
    for (int i = 0; i < count; ++i) {
        std::vector<int> bodies(files, 7);
        co_await syncer.barrier(std::move(bodies));
        ++done;
    }
}

} // namespace

TEST_CASE("one slow barrier among many changes nothing, a slow disk does") {
    BarrierChoice choice;
    CHECK(choice.p99_ms() == 0);
    add(choice, 31, 1);
    choice.add(4000);
    CHECK_FALSE(choice.by_files());
    add(choice, 200, 3);
    CHECK_FALSE(choice.by_files());
    CHECK(choice.p99_ms() == 3);
    add(choice, 10, 60);
    CHECK(choice.by_files());
}

TEST_CASE("the way back needs a clearly faster disk") {
    BarrierChoice choice;
    add(choice, 32, 51);
    REQUIRE(choice.by_files());
    add(choice, 200, 30);
    CHECK(choice.by_files());
    add(choice, 100, 10);
    CHECK(choice.by_files());
    add(choice, 40, 10);
    CHECK_FALSE(choice.by_files());
}

TEST_CASE("a slow filesystem is replaced by its files") {
    Running running;
    ManualClock clock;
    SlowDisk disk(clock);
    disk.ms = 80;
    Syncer syncer(running.loop, disk, clock);
    int done = 0;
    running.nursery.spawn(barriers(syncer, 40, done));
    running.until([&] { return done == 40; });
    CHECK(disk.filesystem == 32);
    CHECK(disk.files == 8);
    CHECK(disk.bodies_synced == 16);
    CHECK_FALSE(syncer.covers_filesystem());
    running.finish();
}

TEST_CASE("many files together are not synced one by one if the whole filesystem takes less") {
    Running running;
    ManualClock clock;
    SlowDisk disk(clock);
    disk.ms = 80;
    disk.file_ms = 10;
    Syncer syncer(running.loop, disk, clock);
    int done = 0;
    running.nursery.spawn(barriers(syncer, 33, done));
    running.until([&] { return done == 33; });
    REQUIRE(disk.files == 1); // what a file costs is known now
    running.nursery.spawn(barriers(syncer, 5, done, 7));
    running.until([&] { return done == 38; });
    CHECK(disk.files == 6);
    running.nursery.spawn(barriers(syncer, 5, done, 8));
    running.until([&] { return done == 43; });
    CHECK(disk.files == 6);
    CHECK(disk.filesystem == 37);
    running.finish();
}

TEST_CASE("while files are synced one by one, deliveries wait for a barrier beside") {
    Scratch scratch;
    Running running;
    SystemClock clock;
    ManualClock measured;
    SlowDisk disk(measured);
    disk.ms = 80;
    spool::QueueDb db(scratch / "queue.db");
    Syncer syncer(running.loop, disk, measured);
    Committer committer(running.nursery, db, syncer, clock);
    running.nursery.spawn(committer.run());
    running.nursery.spawn(committer.run_beside());
    int done = 0;
    running.nursery.spawn(barriers(syncer, 32, done));
    running.until([&] { return done == 32; });
    REQUIRE_FALSE(syncer.covers_filesystem());
    REQUIRE(disk.filesystem == 32);

    bool outcome = false, delivery = false;
    committer.record(
        {[](spool::QueueDb& q) { q.set_number("x", 1); }, [&] { outcome = true; }, nullptr, false},
        Urgency::now);
    committer.record(
        {[](spool::QueueDb& q) { q.set_number("y", 1); }, [&] { delivery = true; }, nullptr, true},
        Urgency::now);
    running.until([&] { return outcome; });
    CHECK_FALSE(delivery);
    CHECK(disk.files == 1);
    CHECK(disk.filesystem == 32);
    running.until([&] { return delivery; });
    CHECK(disk.filesystem == 33);
    CHECK(disk.files == 1);
    bool bare = false;
    committer.record({{}, [&] { bare = true; }, nullptr, true}, Urgency::now);
    running.until([&] { return bare; });
    CHECK(disk.filesystem == 34);
    CHECK(committer.idle());
    running.finish();
}

namespace {

// Each look at it may be the one in which the time is up.
class TickingClock final : public Clock {
  public:
    int64_t ms = 1000;
    UtcTime now() override { return UtcTime{ms}; }
    int64_t monotonic_ms() override {
        const int64_t seen = ms;
        ms = seen < 1999 ? 1999 : seen + 1;
        return seen;
    }
};

} // namespace

TEST_CASE("the wait for a barrier beside ends, wherever in it the time is up") {
    Scratch scratch;
    Running running;
    ManualClock measured;
    TickingClock clock;
    SlowDisk disk(measured);
    disk.ms = 80;
    spool::QueueDb db(scratch / "queue.db");
    Syncer syncer(running.loop, disk, measured);
    Committer committer(running.nursery, db, syncer, clock);
    int done = 0;
    running.nursery.spawn(barriers(syncer, 32, done));
    running.until([&] { return done == 32; });
    REQUIRE_FALSE(syncer.covers_filesystem());
    bool durable = false;
    committer.record({{}, [&] { durable = true; }, nullptr, true}, Urgency::now);
    clock.ms = 1000; // due at 2000: looks see 1000, 1999, 2000
    running.nursery.spawn(committer.run_beside());
    running.until([&] { return durable; });
    running.finish();
}

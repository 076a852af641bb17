#include "queued/schedule.h"

#include "tests/unit/queued/harness.h"

using namespace tambo;
using namespace tambo::queued;
using spool::Kind;
using spool::RecipientKey;

namespace {

using Added = Schedule::Added;
using Answer = Schedule::Answer;

constexpr RetryRules kRules{60'000, 4'000'000, 432'000'000, 432'000'000, 0};

Job remote(int64_t seq, uint32_t no, const std::string& destination) {
    Job job;
    job.key = RecipientKey{seq, no, 0};
    job.recipient.kind = Kind::remote;
    job.recipient.destination = destination;
    job.recipient.address = "user@" + destination;
    return job;
}

Job local(int64_t seq, uint32_t no, uint64_t account) {
    Job job;
    job.key = RecipientKey{seq, no, 0};
    job.recipient.account = Id{1, account};
    return job;
}

struct Tested {
    Schedule schedule{kRules};
    int64_t now = 1000;
    Tested() { schedule.set_remote_max(100); }
    Added add(Job job) { return schedule.add(job, false, now); }
    std::vector<Errand> all() {
        std::vector<Errand> errands;
        while (auto errand = schedule.next(now))
            errands.push_back(std::move(*errand));
        return errands;
    }
    std::vector<Job> end(const Errand& errand, Answer answer) {
        auto drained = schedule.finished(errand, answer, now);
        for (const Job& job : errand.jobs)
            schedule.forget(job.key);
        return drained;
    }
};

} // namespace

TEST_CASE("recipients of one message for one destination go together, fifty at a time") {
    Tested t;
    for (uint32_t i = 0; i < 120; ++i)
        CHECK(t.add(remote(1, i, "a.example")) == Added::waits);
    CHECK(t.add(remote(1, 120, "b.example")) == Added::waits);
    const auto errands = t.all();
    REQUIRE(errands.size() == 4);
    size_t jobs = 0, largest = 0;
    for (const Errand& errand : errands) {
        jobs += errand.jobs.size();
        largest = std::max(largest, errand.jobs.size());
        CHECK(errand.kind == Kind::remote);
    }
    CHECK(jobs == 121);
    CHECK(largest == 50);
}

TEST_CASE("long addresses split an errand so that it fits into a datagram") {
    Tested t;
    for (uint32_t i = 0; i < 50; ++i) {
        Job job = remote(1, i, "a.example");
        job.recipient.address.assign(1000, 'x');
        t.add(std::move(job));
    }
    for (const Errand& errand : t.all())
        CHECK(errand.jobs.size() <= 33);
}

TEST_CASE("a big list does not hold up a single message for the same destination") {
    Tested t;
    for (uint32_t i = 0; i < 1000; ++i)
        t.add(remote(1, i, "a.example"));
    t.add(remote(2, 0, "a.example"));
    const auto first = t.schedule.next(t.now), second = t.schedule.next(t.now);
    REQUIRE(second);
    CHECK(first->jobs[0].key.seq == 1);
    CHECK(second->jobs[0].key.seq == 2);
}

TEST_CASE("destinations take turns") {
    Tested t;
    for (int64_t seq = 1; seq <= 10; ++seq)
        t.add(remote(seq, 0, "busy.example"));
    t.add(remote(11, 0, "other.example"));
    t.schedule.next(t.now);
    const auto second = t.schedule.next(t.now);
    REQUIRE(second);
    CHECK(second->lane == "other.example");
}

TEST_CASE("a destination gets five transactions, more when it answers well, twenty at most") {
    Tested t;
    for (int64_t seq = 1; seq <= 600; ++seq)
        t.add(remote(seq, 0, "a.example"));
    auto running = t.all();
    CHECK(running.size() == 5);
    for (int round = 0; round < 100; ++round) {
        std::vector<Errand> ended;
        ended.swap(running);
        for (const Errand& errand : ended)
            t.end(errand, Answer::good);
        running = t.all();
        REQUIRE(running.size() <= 20);
        if (running.size() == 20) break;
    }
    CHECK(running.size() == 20);
    for (const Errand& errand : running)
        t.end(errand, Answer::throttled);
    CHECK(t.all().size() == 1);
}

TEST_CASE("all destinations together are bounded by what relayd takes") {
    Tested t;
    t.schedule.set_remote_max(3);
    for (int64_t seq = 1; seq <= 10; ++seq)
        t.add(remote(seq, 0, std::to_string(seq) + ".example"));
    auto running = t.all();
    CHECK(running.size() == 3);
    t.end(running[0], Answer::lost);
    CHECK(t.all().size() == 1);
    t.schedule.set_remote_max(0);
    CHECK(t.all().empty());
}

TEST_CASE("an unreachable destination is left alone with all its mail, longer each time") {
    Tested t;
    for (int64_t seq = 1; seq <= 30; ++seq)
        t.add(remote(seq, 0, "dead.example"));
    std::vector<Job> drained;
    int errands = 0;
    while (drained.empty()) {
        const auto errand = t.schedule.next(t.now);
        REQUIRE(errand);
        ++errands;
        drained = t.end(*errand, Answer::unreachable);
    }
    CHECK(errands == 5);
    CHECK(drained.size() == 25);
    CHECK_FALSE(t.schedule.next(t.now));
    CHECK(t.schedule.suspended_until("dead.example", t.now) == t.now + 60'000);
    CHECK(t.schedule.suspended(t.now) == 1);
    for (const Job& job : drained) {
        CHECK(t.schedule.knows(job.key));
        t.schedule.forget(job.key);
    }
    CHECK(t.add(remote(99, 0, "dead.example")) == Added::suspended);
    // Until its deferral is recorded, or it could be given out in between, and then once more.
    CHECK(t.add(remote(99, 0, "dead.example")) == Added::known);
    t.schedule.forget(RecipientKey{99, 0, 0});

    t.now += 60'000; // then one transaction at a time tries again
    for (int64_t seq = 1; seq <= 30; ++seq)
        CHECK(t.add(remote(seq, 0, "dead.example")) == Added::waits);
    auto probe = t.all();
    REQUIRE(probe.size() == 1);
    CHECK(t.end(probe[0], Answer::unreachable).size() == 29);
    CHECK(t.schedule.suspended_until("dead.example", t.now) == t.now + 300'000);
    t.schedule.lift_suspensions();
    CHECK_FALSE(t.schedule.suspended_until("dead.example", t.now));
}

TEST_CASE("transactions that end after their destination was suspended do not prolong it") {
    Tested t;
    for (int64_t seq = 1; seq <= 5; ++seq)
        t.add(remote(seq, 0, "dead.example"));
    const auto running = t.all();
    REQUIRE(running.size() == 5);
    for (const Errand& errand : running)
        t.end(errand, Answer::unreachable);
    const auto until = t.schedule.suspended_until("dead.example", t.now);
    REQUIRE(until);
    CHECK(*until == t.now + 60'000);
}

TEST_CASE("local deliveries go one by one, bounded for each account and in all") {
    Tested t;
    for (uint32_t i = 0; i < 40; ++i)
        t.add(local(1, i, 7));
    t.add(local(2, 0, 8));
    auto running = t.all();
    CHECK(running.size() == 17);
    for (const Errand& errand : running)
        CHECK(errand.jobs.size() == 1);
    t.end(running[0], Answer::good);
    CHECK(t.all().size() == 1);
    for (uint64_t account = 100; account < 500; ++account) {
        t.add(local(static_cast<int64_t>(account), 0, account));
    }
    t.all();
    CHECK(t.schedule.running() == Schedule::kLocalMax);
}

TEST_CASE("a job is known until its outcome is recorded") {
    Tested t;
    t.add(local(1, 0, 7));
    CHECK(t.add(local(1, 0, 7)) == Added::known);
    const auto errand = t.schedule.next(t.now);
    REQUIRE(errand);
    t.schedule.finished(*errand, Answer::good, t.now);
    CHECK(t.add(local(1, 0, 7)) == Added::known);
    t.schedule.forget(errand->jobs[0].key);
    CHECK(t.add(local(1, 0, 7)) == Added::waits);
}

TEST_CASE("the window bounds what is in memory; fresh mail has room of its own") {
    Tested t;
    for (int64_t seq = 1; seq <= static_cast<int64_t>(Schedule::kWindow); ++seq) {
        REQUIRE(t.add(remote(seq, 0, "a.example")) == Added::waits);
    }
    CHECK(t.schedule.room() == 0);
    CHECK(t.add(remote(99'999, 0, "a.example")) == Added::full);
    Job fresh = local(100'000, 0, 1);
    CHECK(t.schedule.add(fresh, true, t.now) == Added::waits);
    const auto next = t.schedule.next(t.now);
    REQUIRE(next);
    CHECK(next->kind == Kind::local);
}

TEST_CASE("jobs of a removed message go, running ones end as usual") {
    Tested t;
    for (uint32_t i = 0; i < 60; ++i)
        t.add(remote(1, i, "a.example"));
    t.add(remote(2, 0, "a.example"));
    const auto errand = t.schedule.next(t.now);
    REQUIRE(errand);
    t.schedule.remove(1);
    CHECK(t.schedule.active() == 51);
    const auto rest = t.all();
    REQUIRE(rest.size() == 1);
    CHECK(rest[0].jobs[0].key.seq == 2);
    t.end(*errand, Answer::good);
    CHECK(t.schedule.active() == 1);
}

TEST_CASE("lanes without mail are forgotten, suspended ones only later") {
    Tested t;
    t.add(remote(1, 0, "good.example"));
    auto running = t.all();
    t.end(running[0], Answer::good);
    for (int64_t seq = 2; seq <= 6; ++seq)
        t.add(remote(seq, 0, "dead.example"));
    for (const Errand& errand : t.all())
        t.end(errand, Answer::unreachable);
    CHECK(t.schedule.lanes() == 2);
    t.schedule.tidy(t.now);
    CHECK(t.schedule.lanes() == 1);
    t.schedule.tidy(t.now + 60'000 + 4'000'001);
    CHECK(t.schedule.lanes() == 0);
}

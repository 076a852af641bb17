#include "common/event/gate.h"
#include "common/event/nursery.h"
#include "common/event/workers.h"
#include "common/sys/fdpass.h"
#include "common/sys/log.h"

#include <catch2/catch.hpp>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>

using namespace tambo;

namespace {

task<int> twice(int n) {
    co_return n * 2;
}

task<int> fails() {
    throw std::runtime_error("boom");
    co_return 0;
}

task<> many_synchronous(int n, long& sum) {
    for (int i = 0; i < n; ++i) {
        const int v = co_await twice(i);
        sum += v;
    }
}

task<> sleeper(Nursery& nursery, int64_t ms, std::string& trace, char mark) {
    co_await sleep_ms(nursery, ms);
    trace.push_back(mark);
}

task<> gate_waiter(Gate& gate, int64_t timeout_ms, std::string& trace) {
    const bool opened = co_await gate.wait(timeout_ms);
    trace.push_back(opened ? 'o' : 't');
}

task<> offload(Workers& workers, size_t& total) {
    std::string text(100, 'x');
    const size_t n = co_await workers.run([&text] { return text.size(); });
    total += n;
}

} // namespace

TEST_CASE("a loop of 200,000 synchronous awaits does not grow the stack") {
    Loop loop;
    Nursery nursery(loop);
    long sum = 0;
    nursery.spawn(many_synchronous(200'000, sum));
    CHECK(sum == 39'999'800'000L);
    CHECK(nursery.size() == 0);
}

TEST_CASE("exceptions reach on_error once") {
    Loop loop;
    Nursery nursery(loop);
    std::string seen;
    nursery.on_error = [&](const std::exception& e) { seen += e.what(); };
    nursery.spawn([]() -> task<> { co_await fails(); }());
    CHECK(seen == "boom");
}

TEST_CASE("sleeps end in order of time, cancel ends them at once") {
    Loop loop;
    Nursery nursery(loop);
    std::string trace;
    nursery.spawn(sleeper(nursery, 20, trace, 'b'));
    nursery.spawn(sleeper(nursery, 1, trace, 'a'));
    nursery.on_empty = [&] { loop.stop(); };
    loop.run();
    CHECK(trace == "ab");
    nursery.spawn(sleeper(nursery, 60'000, trace, 'c'));
    CHECK(nursery.size() == 1);
    nursery.cancel();
    CHECK(nursery.size() == 0);
    CHECK(trace == "ab");
}

TEST_CASE("a gate wakes all, and a wait can time out") {
    Loop loop;
    Nursery nursery(loop);
    Gate gate(nursery);
    std::string trace;
    nursery.spawn(gate_waiter(gate, 5, trace));
    nursery.spawn(gate_waiter(gate, 0, trace));
    nursery.spawn(sleeper(nursery, 30, trace, 's'));
    loop.post([] {});
    nursery.on_empty = [&] { loop.stop(); };
    loop.on_signal(15, [] {});
    loop.every(50, [&] { gate.open(); });
    loop.run();
    CHECK(trace == "tso");
}

TEST_CASE("workers hand their results back to the loop") {
    Loop loop;
    size_t total = 0;
    {
        Workers workers(loop, 2);
        Nursery nursery(loop);
        nursery.on_empty = [&] { loop.stop(); };
        for (int i = 0; i < 50; ++i)
            nursery.spawn(offload(workers, total));
        loop.run();
    }
    CHECK(total == 5000);
}

TEST_CASE("a pool whose threads cannot start is refused whole, when it is made") {
    const pid_t child = ::fork();
    if (child == 0) {
        if (::geteuid() == 0 && ::setuid(65'534) != 0) ::_exit(1); // root has no limit
        const rlimit none{0, 0};
        if (::setrlimit(RLIMIT_NPROC, &none) != 0) ::_exit(1);
        Loop loop;
        try {
            const Workers workers(loop, 2);
        } catch (const std::system_error& error) {
            ::_exit(error.code().value() == EAGAIN ? 7 : 2);
        }
        ::_exit(3);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("the loop sends events that had to wait") {
    auto [a, b] = socket_pair(SOCK_SEQPACKET);
    log::set_sink(std::move(a), "test");
    Loop loop;
    for (int i = 0; i < 5'000; ++i)
        log::Event("x.y").with("n", int64_t{i});
    CHECK_FALSE(log::flush());
    struct Reader {
        Loop& loop;
        int fd;
        int got = 0;
    } reader{loop, b.get()};
    FdWatch watch(
        loop, b.get(),
        [](void* self, unsigned) {
            auto* r = static_cast<Reader*>(self);
            Datagram datagram;
            const auto status = receive_datagram(r->fd, 4096, 0, datagram);
            if (status == ReceiveStatus::received && ++r->got == 5'000) r->loop.stop();
        },
        &reader);
    watch.arm_read(10'000);
    loop.run();
    CHECK(reader.got == 5'000);
    CHECK(log::flush());
    log::set_sink(UniqueFd(), "");
}

namespace {

// Owns a gate in its frame, and waits elsewhere.
task<> gate_owner(Nursery& nursery, std::string& trace) {
    Gate gate(nursery);
    nursery.spawn([](Gate& g, std::string& t) -> task<> {
        struct Mark {
            std::string& trace;
            ~Mark() { trace.push_back('w'); }
        } const mark{t};
        co_await g.wait(60'000);
        t.push_back('!'); // never
    }(gate, trace));
    struct Mark {
        std::string& trace;
        ~Mark() { trace.push_back('o'); }
    } const mark{trace};
    co_await sleep_ms(nursery, 60'000);
}

// When it is cancelled it wakes others, who wake others.
task<> waker(Gate& waits_at, Gate& opens) {
    struct Open {
        Gate& gate;
        ~Open() { gate.pulse(); }
    } const open{opens};
    co_await waits_at.wait();
}

} // namespace

TEST_CASE("the owner of a gate may be cancelled before those who wait at it") {
    {
        Loop loop;
        Nursery nursery(loop);
        std::string trace;
        nursery.spawn(gate_owner(nursery, trace));
        nursery.cancel();
        CHECK(nursery.size() == 0);
        CHECK(trace == "wo");
    }
    // The other order: the owner waits first in the list.
    Loop loop;
    Nursery nursery(loop);
    bool ended = false;
    auto gate = std::make_unique<Gate>(nursery);
    nursery.spawn([](Nursery& n, std::unique_ptr<Gate>& g) -> task<> {
        struct Drop {
            std::unique_ptr<Gate>& gate;
            ~Drop() { gate.reset(); }
        } const drop{g};
        co_await sleep_ms(n, 60'000);
    }(nursery, gate));
    nursery.spawn([](Gate& g, bool& out) -> task<> {
        struct Mark {
            bool& ended;
            ~Mark() { ended = true; }
        } const mark{out};
        co_await g.wait(60'000);
    }(*gate, ended));
    nursery.cancel();
    CHECK(ended);
    CHECK(!gate);
    CHECK(nursery.size() == 0);
}

TEST_CASE("a process ends when all its coroutines have, also those that were woken at the end") {
    Loop loop;
    Workers workers(loop, 1);
    Nursery nursery(loop);
    Gate first(nursery), second(nursery), third(nursery);
    bool worked = false;
    nursery.spawn(waker(first, second));
    nursery.spawn(waker(second, third));
    nursery.spawn(waker(third, first));
    nursery.spawn([](Workers& w, bool& out) -> task<> {
        const auto work = [] { return true; };
        out = co_await w.run(work);
    }(workers, worked));
    loop.post([&] {
        second.pulse(); // on its way to be resumed when the loop ends
        loop.stop();
    });
    loop.run();
    nursery.finish();
    CHECK(nursery.size() == 0);
    CHECK(worked);
}

TEST_CASE("a watch without a time-out forgets the one it had") {
    Loop loop;
    auto [ours, theirs] = socket_pair(SOCK_STREAM);
    int woken = 0;
    FdWatch watch(
        loop, ours.get(), [](void* n, unsigned) { ++*static_cast<int*>(n); }, &woken);
    watch.arm_read(10);
    watch.arm_read(0);
    Timer end(
        loop, [](void* l) { static_cast<Loop*>(l)->stop(); }, &loop);
    end.arm(100);
    loop.run();
    CHECK(woken == 0);
}

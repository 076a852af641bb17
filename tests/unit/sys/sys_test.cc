#include "common/base/text.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "common/sys/log.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cstdlib>

using namespace tambo;

TEST_CASE("a datagram carries bytes and descriptors") {
    auto [a, b] = socket_pair(SOCK_SEQPACKET);
    const UniqueFd null = open_or_throw("/dev/null", O_RDONLY);
    const std::array<int, 1> fds{null.get()};
    CHECK(send_datagram(a.get(), "head", "body", fds) == SendStatus::sent);
    Datagram got;
    CHECK(receive_datagram(b.get(), 100, 1, got) == ReceiveStatus::received);
    CHECK(got.bytes == "headbody");
    REQUIRE(got.fds.size() == 1);
    CHECK(::fcntl(got.fds[0].get(), F_GETFD) == FD_CLOEXEC);

    CHECK(send_datagram(a.get(), "too long for it", "", {}) == SendStatus::sent);
    CHECK(receive_datagram(b.get(), 4, 1, got) == ReceiveStatus::closed);
    CHECK(send_datagram(a.get(), "x", "", fds) == SendStatus::sent);
    CHECK(receive_datagram(b.get(), 4, 0, got) == ReceiveStatus::closed);
    CHECK(got.fds.empty());
    a.reset();
    CHECK(receive_datagram(b.get(), 4, 0, got) == ReceiveStatus::closed);
}

TEST_CASE("datagrams come in batches, in order, each with its descriptors") {
    auto [a, b] = socket_pair(SOCK_SEQPACKET);
    CHECK(receive_batch(b.get(), 1).datagrams.empty());
    const UniqueFd null = open_or_throw("/dev/null", O_RDONLY);
    const std::array<int, 1> fds{null.get()};
    for (int i = 0; i < 11; ++i) {
        const auto with = std::span<const int>(fds).first(i % 3 == 0 ? 1 : 0);
        CHECK(send_datagram(a.get(), "n", cat(i), with) == SendStatus::sent);
    }
    Batch first = receive_batch(b.get(), 1);
    CHECK(first.full);
    const Batch rest = receive_batch(b.get(), 1);
    CHECK_FALSE(rest.full);
    CHECK_FALSE(rest.closed);
    for (const Datagram& one : rest.datagrams) {
        first.datagrams.push_back({one.bytes, {}});
    }
    REQUIRE(first.datagrams.size() == 11);
    for (size_t i = 0; i < 11; ++i)
        CHECK(first.datagrams[i].bytes == cat("n", i));
    for (size_t i = 0; i < 8; ++i)
        CHECK(first.datagrams[i].fds.size() == (i % 3 == 0 ? 1 : 0));
    CHECK(::fcntl(first.datagrams[3].fds[0].get(), F_GETFD) == FD_CLOEXEC);
    REQUIRE(rest.datagrams.size() == 3);
    CHECK(rest.datagrams[1].fds.size() == 1);

    // One with too many descriptors, and all behind it, are not there; those before it are.
    CHECK(send_datagram(a.get(), "good", "", {}) == SendStatus::sent);
    CHECK(send_datagram(a.get(), "bad", "", fds) == SendStatus::sent);
    CHECK(send_datagram(a.get(), "late", "", fds) == SendStatus::sent);
    const Batch broken = receive_batch(b.get(), 0);
    CHECK(broken.closed);
    REQUIRE(broken.datagrams.size() == 1);
    CHECK(broken.datagrams[0].bytes == "good");

    CHECK(send_datagram(a.get(), "last words", "", {}) == SendStatus::sent);
    a.reset();
    const Batch last = receive_batch(b.get(), 0);
    CHECK(last.closed);
    REQUIRE(last.datagrams.size() == 1);
    CHECK(last.datagrams[0].bytes == "last words");
}

TEST_CASE("a file is replaced whole") {
    char dir[] = "/tmp/tambo-sys-XXXXXX";
    REQUIRE(::mkdtemp(dir) != nullptr);
    const UniqueFd dir_fd = open_or_throw(dir, O_RDONLY | O_DIRECTORY);
    write_file_atomically(dir_fd.get(), "f", "one", 0600);
    write_file_atomically(dir_fd.get(), "f", "two", 0600);
    CHECK(read_file(std::string(dir) + "/f", 10) == "two");
    CHECK_THROWS(read_file(std::string(dir) + "/f", 2));
    CHECK_THROWS(read_file(std::string(dir) + "/absent", 2));
    ::unlinkat(dir_fd.get(), "f", 0);
    CHECK(::rmdir(dir) == 0);
}

TEST_CASE("an event survives its datagram, a cut one does not") {
    log::Record r;
    r.time = UtcTime{12345};
    r.level = log::Level::warning;
    r.daemon = "mx.0";
    r.event = "smtp.refused";
    r.fields = {{"ip", "192.0.2.1"}, {"helo", std::string("a\0b\n", 4)}};
    const std::string wire = log::encode(r);
    const auto back = log::decode(wire);
    REQUIRE(back);
    CHECK(back->fields == r.fields);
    CHECK(back->level == r.level);
    for (size_t cut = 0; cut < wire.size(); ++cut)
        CHECK_FALSE(log::decode(wire.substr(0, cut)));
}

TEST_CASE("events reach the sink and are counted when they cannot") {
    auto [a, b] = socket_pair(SOCK_SEQPACKET);
    log::set_sink(std::move(a), "test");
    log::Event("x.y").with("n", 5);
    Datagram got;
    REQUIRE(receive_datagram(b.get(), 4096, 0, got) == ReceiveStatus::received);
    CHECK(log::decode(got.bytes)->daemon == "test");
    b.reset();
    const auto before = log::dropped();
    log::Event("x.z");
    CHECK(log::dropped() == before + 1);
    log::set_sink(UniqueFd(), "");
}

TEST_CASE("a burst of events waits for a slow reader, in order, and is bounded") {
    auto [a, b] = socket_pair(SOCK_SEQPACKET);
    set_nonblocking(b.get());
    log::set_sink(std::move(a), "test");
    Datagram got;
    log::Event("x.first"); // tells what other tests have dropped
    REQUIRE(receive_datagram(b.get(), 4096, 0, got) == ReceiveStatus::received);
    const auto before = log::dropped();
    int told = 0;
    log::set_waiting_hook({[](void* count) { ++*static_cast<int*>(count); }, &told});
    constexpr int kEvents = 36'000; // recipients of one message
    for (int i = 0; i < kEvents; ++i) {
        log::Event("queue.delivered").rcpt("somebody@example.test").with("n", int64_t{i});
    }
    CHECK(told == 1);
    CHECK(log::dropped() == before);
    int next = 0;
    const auto read_all = [&] {
        while (receive_datagram(b.get(), 4096, 0, got) == ReceiveStatus::received) {
            const auto record = log::decode(got.bytes);
            REQUIRE(record);
            REQUIRE(record->fields[0].second == cat(next++));
            REQUIRE(record->dropped_before == 0);
        }
    };
    while (!log::flush())
        read_all();
    read_all();
    CHECK(next == kEvents);

    // More than may wait: counted, and told with the next event that finds room.
    const std::string filling(1000, 'x');
    for (int i = 0; i < 20'000; ++i)
        log::Event("x.y").with("filling", filling);
    const auto lost = log::dropped() - before;
    CHECK(lost > 1000);
    CHECK(told == 2);
    const auto take = [&] {
        while (receive_datagram(b.get(), 4096, 0, got) == ReceiveStatus::received)
            continue;
    };
    while (!log::flush())
        take();
    take();
    log::Event("x.last");
    REQUIRE(receive_datagram(b.get(), 4096, 0, got) == ReceiveStatus::received);
    CHECK(log::decode(got.bytes)->dropped_before == lost);

    // Nobody reads any more: what waits is lost, and counted.
    for (int i = 0; i < 5'000; ++i)
        log::Event("x.y").with("filling", filling);
    const auto unread = log::dropped();
    b.reset();
    CHECK(log::flush());
    CHECK(log::dropped() > unread);
    log::set_waiting_hook({});
    log::set_sink(UniqueFd(), "");
}

#include "common/net/address.h"
#include "common/net/connect.h"
#include "common/net/listener.h"
#include "common/net/stream.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "tests/unit/no_descriptors.h"

#include <catch2/catch.hpp>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

using namespace tambo;
using namespace tambo::net;
using tambo::test::NoDescriptors;

namespace {

struct Ends {
    Loop loop;
    Nursery nursery{loop};
    UniqueFd peer;
    std::unique_ptr<Stream> stream;
    explicit Ends(int64_t timeout_ms = 2000) {
        auto [a, b] = socket_pair(SOCK_STREAM);
        set_nonblocking(a.get());
        stream = std::make_unique<Stream>(nursery, std::move(a), timeout_ms);
        peer = std::move(b);
        nursery.on_empty = [this] { loop.stop(); };
    }
    void send(std::string_view bytes) { write_all(peer.get(), bytes, "peer"); }
    void run() {
        if (nursery.size() > 0) loop.run();
    }
    void turn_ms(int64_t ms) {
        Timer timer(
            loop, [](void* l) { static_cast<Loop*>(l)->stop(); }, &loop);
        timer.arm(ms);
        loop.run();
    }
};

// Whether an epoll descriptor of this process has it.
bool is_watched(int fd) {
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::ifstream info("/proc/self/fdinfo/" + entry.path().filename().string());
        for (std::string word; info >> word;) {
            int watched = -1;
            if (word == "tfd:" && info >> watched && watched == fd) return true;
        }
    }
    return false;
}

task<> read_and_pause(Stream& stream, Nursery& nursery, std::string& out) {
    try {
        for (;;) {
            auto line = co_await stream.read_line(100);
            out += std::string(line) + ";";
            if (out.size() > 2) break;
            co_await sleep_ms(nursery, 200);
        }
    } catch (const Closed&) {
        out += "closed";
    }
}

task<> collect_lines(Stream& stream, size_t max, std::string& out) {
    try {
        for (;;) {
            auto line = co_await stream.read_line(max);
            out += std::string(line) + (stream.line_was_bare_lf() ? "|lf;" : ";");
        }
    } catch (const LineTooLong&) {
        out += "long";
    } catch (const Closed&) {
        out += "closed";
    } catch (const TimedOut&) {
        out += "timeout";
    }
}

task<> echo_all(Stream& stream) {
    for (;;) {
        auto data = co_await stream.read_some(100'000);
        stream.put(data);
        co_await stream.flush();
    }
}

task<> copy_one_way(Stream& from, Stream& to, size_t& bytes) {
    for (;;) {
        auto data = co_await from.read_some(65536);
        bytes += data.size();
        to.put(data);
        co_await to.flush();
    }
}

task<> wait_thrice(Stream& stream, std::string& out) {
    for (int i = 0; i < 3; ++i) {
        auto wait = co_await stream.wait_input(30);
        out += wait == Wait::input ? 'i' : wait == Wait::woken ? 'w' : 't';
        if (wait == Wait::input) stream.consume(stream.buffered().size());
    }
}

task<> wait_often(Stream& stream, int64_t ms, int times, std::string& out) {
    for (int i = 0; i < times; ++i) {
        auto wait = co_await stream.wait_input(ms);
        out += wait == Wait::input ? 'i' : wait == Wait::woken ? 'w' : 't';
        if (wait == Wait::input) co_return;
    }
}

task<> flush_much(Stream& stream, std::string& out) {
    stream.put(std::string(4u << 20, 'x')); // more than the kernel takes
    try {
        co_await stream.flush();
        out = "flushed";
    } catch (const TimedOut&) {
        out = "timeout";
    }
}

task<> read_after(Nursery& nursery, int fd, const std::string& sign, size_t count) {
    while (sign.size() < count)
        co_await sleep_ms(nursery, 5);
    std::string room(1u << 20, '\0');
    while (::recv(fd, room.data(), room.size(), MSG_DONTWAIT) > 0)
        co_await sleep_ms(nursery, 1);
}

// Both ends of a TCP connection over loopback.
std::pair<UniqueFd, UniqueFd> tcp_pair() {
    const UniqueFd listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage storage{};
    socklen_t size = SocketAddress::parse("127.0.0.1", 0)->to_sockaddr(&storage);
    auto* raw = reinterpret_cast<sockaddr*>(&storage);
    REQUIRE(::bind(listening.get(), raw, size) == 0);
    REQUIRE(::listen(listening.get(), 1) == 0);
    REQUIRE(::getsockname(listening.get(), raw, &size) == 0);
    UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), raw, size) == 0);
    UniqueFd served(::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    REQUIRE(served.valid());
    return {std::move(client), std::move(served)};
}

task<> answer_some(Stream& stream, int count) {
    for (int i = 0;; ++i) {
        co_await stream.read_line(100);
        if (i >= count) continue;
        stream.put("yes\n");
        co_await stream.flush();
    }
}

} // namespace

TEST_CASE("lines arrive whole at every split point") {
    const std::string wire = "EHLO a\r\n\r\nbare\nMAIL FROM:<x>\r\n";
    for (size_t cut = 0; cut <= wire.size(); ++cut) {
        Ends ends;
        std::string out;
        ends.send(wire.substr(0, cut));
        ends.nursery.spawn(collect_lines(*ends.stream, 100, out));
        ends.loop.post([&] {
            ends.send(wire.substr(cut));
            ends.peer.reset();
        });
        ends.run();
        CHECK(out == "EHLO a;;bare|lf;MAIL FROM:<x>;closed");
    }
}

TEST_CASE("a line may be as long as its limit and no longer") {
    for (const size_t length : {9u, 10u, 11u, 20'000u}) {
        Ends ends;
        std::string out;
        ends.send(std::string(length - 2, 'x') + "\r\n");
        ends.peer.reset();
        ends.nursery.spawn(collect_lines(*ends.stream, 10, out));
        ends.run();
        CHECK(out == (length <= 10 ? std::string(length - 2, 'x') + ";closed" : "long"));
    }
}

TEST_CASE("a stream between two reads is watched until something comes") {
    const bool ends = GENERATE(false, true);
    Ends e;
    std::string out;
    e.nursery.spawn(read_and_pause(*e.stream, e.nursery, out));
    e.send("a\n");
    e.turn_ms(20);
    CHECK(out == "a;");
    CHECK(is_watched(e.stream->fd())); // the kernel is not told twice for each line
    if (ends) {
        ::shutdown(e.peer.get(), SHUT_WR);
    } else {
        e.send("b\n");
    }
    e.turn_ms(20);
    CHECK_FALSE(is_watched(e.stream->fd())); // and the loop does not spin
    e.run();
    CHECK(out == (ends ? "a;closed" : "a;b;"));
}

TEST_CASE("a trickle does not prolong a read") {
    Ends ends(60);
    std::string out;
    ends.nursery.spawn(collect_lines(*ends.stream, 100, out));
    ends.loop.every(20, [&] { ends.send("x"); });
    ends.run();
    CHECK(out == "timeout");
}

namespace {

task<> send_behind(Ends& ends, const std::string& sign) {
    while (sign.empty())
        co_await sleep_ms(ends.nursery, 5);
    ends.send("x");
}

struct Signs {
    std::string flush, waits; // as flush_much() and wait_often() say
};

// A write that the peer never takes, and reads beside it; the peer sends once the write is over.
Signs write_beside_reads(int64_t write_ms, int64_t read_ms, int reads) {
    Ends ends(write_ms);
    Signs signs;
    ends.nursery.spawn(flush_much(*ends.stream, signs.flush));
    ends.nursery.spawn(wait_often(*ends.stream, read_ms, reads, signs.waits));
    ends.nursery.spawn(send_behind(ends, signs.flush));
    ends.run();
    return signs;
}

} // namespace

TEST_CASE("a read whose time is up does not end a write of the stream") {
    Ends ends(60'000);
    std::string waits, flush;
    ends.nursery.spawn(flush_much(*ends.stream, flush));
    ends.nursery.spawn(wait_often(*ends.stream, 20, 3, waits));
    ends.nursery.spawn(read_after(ends.nursery, ends.peer.get(), waits, 3));
    ends.run();
    CHECK(waits == "ttt");
    CHECK(flush == "flushed");
}

TEST_CASE("a write whose time is up does not end a read of the stream") {
    const Signs signs = write_beside_reads(20, 60'000, 1);
    CHECK(signs.flush == "timeout");
    CHECK(signs.waits == "i");
}

TEST_CASE("reads do not prolong a write of the stream") {
    const Signs signs = write_beside_reads(100, 15, 100);
    CHECK(signs.flush == "timeout");
    CHECK(signs.waits.back() == 'i');
}

TEST_CASE("wait_input tells input, wake and time apart") {
    Ends ends;
    std::string out;
    ends.send("x");
    ends.nursery.spawn(wait_thrice(*ends.stream, out));
    ends.loop.post([&] { ends.stream->wake(); });
    ends.run();
    CHECK(out == "iwt");
}

TEST_CASE("a wait for input acknowledges what came, if asked to") {
    Loop loop;
    Nursery nursery(loop);
    auto [client, served] = tcp_pair();
    Stream stream(nursery, std::move(served), 10'000);
    stream.set_quick_ack();
    constexpr int kExchanges = 50; // the kernel takes the connection for an interactive one then
    nursery.spawn(answer_some(stream, kExchanges));
    const auto turn = [&loop] {
        for (int i = 0; i < 3; ++i) {
            loop.post([&loop] { loop.stop(); });
            loop.run();
        }
    };
    for (int i = 0; i < kExchanges; ++i) {
        write_all(client.get(), "question\n", "client");
        turn();
        char answer[16];
        REQUIRE(::recv(client.get(), answer, sizeof answer, 0) == 4);
    }
    write_all(client.get(), "a part of ", "client"); // answered by nothing but the kernel
    turn();
    int unacknowledged = -1;
    REQUIRE(::ioctl(client.get(), SIOCOUTQ, &unacknowledged) == 0);
    CHECK(unacknowledged == 0);
    nursery.cancel();
}

TEST_CASE("cancel ends a waiting read") {
    Ends ends;
    std::string out;
    ends.nursery.spawn(collect_lines(*ends.stream, 100, out));
    CHECK(ends.nursery.size() == 1);
    ends.nursery.cancel();
    CHECK(ends.nursery.size() == 0);
    CHECK(out.empty());
}

TEST_CASE("a proxy carries megabytes both ways through small buffers") {
    Loop loop;
    Nursery nursery(loop);
    auto [a, b] = socket_pair(SOCK_STREAM);
    auto [c, d] = socket_pair(SOCK_STREAM);
    for (const auto* fd : {&a, &b, &c, &d})
        set_nonblocking(fd->get());
    Stream left(nursery, std::move(b), 5000), right(nursery, std::move(c), 5000);
    Stream client(nursery, std::move(a), 5000), server(nursery, std::move(d), 5000);
    size_t there = 0, back = 0, received = 0;
    nursery.spawn(copy_one_way(left, right, there));
    nursery.spawn(copy_one_way(right, left, back));
    nursery.spawn(echo_all(server));
    constexpr size_t kBytes = 3u << 20;
    client.put(std::string(kBytes, 'y'));
    nursery.spawn([](Stream& s) -> task<> { co_await s.flush(); }(client));
    nursery.spawn([](Stream& s, size_t& n, Nursery& all) -> task<> {
        while (n < kBytes) {
            auto data = co_await s.read_some(1u << 20);
            n += data.size();
        }
        all.loop().stop();
    }(client, received, nursery));
    loop.run();
    CHECK(received == kBytes);
    CHECK(there == kBytes);
    CHECK(back == kBytes);
    nursery.cancel();
}

TEST_CASE("addresses parse, print and group") {
    const auto v6 = SocketAddress::parse("2001:db8:1:2:3::4", 25);
    REQUIRE(v6);
    CHECK(v6->text() == "[2001:db8:1:2:3::4]:25");
    CHECK(v6->network() == "2001:db8:1:2::/64");
    CHECK(v6->literal() == "[IPv6:2001:db8:1:2:3::4]");
    CHECK(SocketAddress::parse("::ffff:192.0.2.1", 1)->ip() == "192.0.2.1");
    CHECK(SocketAddress::parse_host_port("127.0.0.1:53", 1)->port() == 53);
    CHECK(SocketAddress::parse_host_port("[::1]:53", 1)->is_loopback());
    CHECK(SocketAddress::parse_host_port("::1", 9)->port() == 9);
    for (const auto* bad : {"", "x", "1.2.3", "1.2.3.4:", "1.2.3.4:x", "[::1", "[::1]x"}) {
        CHECK_FALSE(SocketAddress::parse_host_port(bad, 1));
    }
}

namespace {

// On a port of its own at 127.0.0.1.
UniqueFd listening(int backlog) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_storage storage{};
    const auto size = SocketAddress::parse("127.0.0.1", 0)->to_sockaddr(&storage);
    REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0);
    REQUIRE(::listen(socket.get(), backlog) == 0);
    return socket;
}

task<> stop_after(Nursery& nursery, int64_t ms) {
    co_await sleep_ms(nursery, ms);
    nursery.loop().stop();
}

void run_for(Nursery& nursery, int64_t ms) {
    nursery.spawn(stop_after(nursery, ms));
    nursery.loop().run();
}

// Connected and waiting to be accepted.
std::vector<UniqueFd> clients_of(const UniqueFd& listening, int count) {
    sockaddr_storage storage{};
    const auto size = SocketAddress::local_of(listening.get()).to_sockaddr(&storage);
    std::vector<UniqueFd> clients;
    for (int i = 0; i < count; ++i) {
        auto& client = clients.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::connect(client.get(), reinterpret_cast<sockaddr*>(&storage), size) == 0);
        set_nonblocking(client.get());
    }
    return clients;
}

size_t dropped_of(const std::vector<UniqueFd>& clients) {
    size_t dropped = 0;
    for (const auto& client : clients) {
        char byte = 0;
        dropped += ::recv(client.get(), &byte, 1, MSG_PEEK) == 0;
    }
    return dropped;
}

} // namespace

TEST_CASE("a listener accepts and a refused connection says so") {
    Loop loop;
    Nursery nursery(loop);
    UniqueFd bound = listening(5);
    const auto address = SocketAddress::local_of(bound.get());
    std::string seen;
    Listener listener(loop, std::move(bound),
                      [&](UniqueFd, const SocketAddress& peer) { seen += peer.ip(); });
    nursery.on_empty = [&] { loop.stop(); };
    nursery.spawn([](Nursery& n, SocketAddress to, Listener& l, std::string& out) -> task<> {
        auto fd = co_await connect_to(n, to, 1000);
        co_await sleep_ms(n, 20);
        fd.reset();
        l.close();
        try {
            auto again = co_await connect_to(n, to, 1000);
        } catch (const std::system_error&) {
            out += ",refused";
        }
    }(nursery, address, listener, seen));
    loop.run();
    CHECK(seen == "127.0.0.1,refused");
}

TEST_CASE(
    "D13: without descriptors a listener drops one, pauses, and goes on when there are some") {
    constexpr size_t kClients = 50;
    Loop loop;
    Nursery nursery(loop);
    // UBSan opens a pipe where it meets a class for the first time: those that are used below.
    run_for(nursery, 0);
    log::Event("net.out_of_descriptors", log::Level::error);
    UniqueFd bound = listening(100);
    const auto clients = clients_of(bound, kClients);
    std::vector<UniqueFd> accepted;
    Listener listener(loop, std::move(bound), [&](UniqueFd socket, const SocketAddress&) {
        accepted.push_back(std::move(socket));
    });
    bool in_force = false;
    {
        const NoDescriptors none;
        in_force = none.in_force();
        run_for(nursery, 100); // half a pause
    }
    REQUIRE(in_force);
    CHECK(accepted.empty());
    CHECK(dropped_of(clients) == 1); // one that spins has dropped all by now
    for (int i = 0; i < 100 && accepted.size() < kClients - 1; ++i)
        run_for(nursery, 20);
    CHECK(accepted.size() == kClients - 1);
    CHECK(dropped_of(clients) == 1);
}

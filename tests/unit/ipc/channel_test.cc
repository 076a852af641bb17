#include "common/ipc/admin.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/authd.h"
#include "common/ipc/messages/control.h"
#include "common/ipc/messages/delivery.h"
#include "common/ipc/messages/dnsd.h"
#include "common/ipc/messages/keeper.h"
#include "common/ipc/messages/keyd.h"
#include "common/ipc/messages/queued.h"
#include "common/ipc/messages/relayd.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "tests/unit/no_descriptors.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>

using namespace tambo;
using namespace tambo::ipc;
using tambo::test::NoDescriptors;

namespace {

struct Resolver {
    Nursery& nursery;
    int asked = 0;
    int64_t delay_ms = 0;
    explicit Resolver(Nursery& n) : nursery(n) {}
    task<DnsAnswer> lookup(DnsLookup question) {
        ++asked;
        if (delay_ms > 0) co_await sleep_ms(nursery, delay_ms);
        DnsAnswer answer;
        answer.status = DnsStatus::found;
        answer.canonical_name = question.name;
        co_return answer;
    }
};

struct Pair {
    Loop loop;
    Nursery nursery{loop};
    Channel client{nursery, "dnsd"}, server{nursery, "relayd"};
    void connect() {
        auto [a, b] = socket_pair(SOCK_SEQPACKET);
        client.attach(std::move(a));
        server.attach(std::move(b));
    }
    void finish() {
        nursery.cancel();
        client.drop("end");
        server.drop("end");
    }
};

task<> ask(Loop& loop, Channel& channel, std::string name, int64_t timeout_ms, std::string& out) {
    DnsLookup question;
    question.name = std::move(name);
    try {
        auto answer = co_await channel.call(std::move(question), timeout_ms);
        out += answer.canonical_name + ";";
    } catch (const PeerLost&) {
        out += "lost;";
    }
    loop.stop();
}

} // namespace

TEST_CASE("a call gets its reply") {
    Pair p;
    Resolver resolver(p.nursery);
    p.server.on<DnsLookup>(resolver, &Resolver::lookup);
    p.connect();
    std::string out;
    p.nursery.spawn(ask(p.loop, p.client, "example.test", 5000, out));
    p.loop.run();
    CHECK(out == "example.test;");
    CHECK(p.client.idle());
    p.finish();
}

TEST_CASE("a repeat request waits for the successor of its peer") {
    Pair p;
    Resolver resolver(p.nursery);
    resolver.delay_ms = 50;
    p.server.on<DnsLookup>(resolver, &Resolver::lookup);
    p.connect();
    std::string out;
    p.nursery.spawn(ask(p.loop, p.client, "a.test", 5000, out));
    p.nursery.spawn([](Pair& pair) -> task<> {
        co_await sleep_ms(pair.nursery, 10);
        pair.server.drop("killed");
        co_await sleep_ms(pair.nursery, 10);
        pair.connect();
    }(p));
    p.loop.run();
    CHECK(out == "a.test;");
    CHECK(resolver.asked == 2);
    p.finish();
}

TEST_CASE("a call without a peer ends at its time limit") {
    Pair p;
    std::string out;
    p.nursery.spawn(ask(p.loop, p.client, "a.test", 20, out));
    p.loop.run();
    CHECK(out == "lost;");
    p.finish();
}

TEST_CASE("malformed frames close the peer only") {
    for (const std::string& bad : {std::string("x"), std::string(16, '\xff'),
                                  encode_header(FrameHeader{0x7777, 1, 0, 1}),
                                  encode_header(FrameHeader{0x0801, 1, 3, 1}) + "abc",
                                  encode_header(FrameHeader{0x0801, 0, 0, 1})}) {
        Pair p;
        Resolver resolver(p.nursery);
        p.server.on<DnsLookup>(resolver, &Resolver::lookup);
        auto [a, b] = socket_pair(SOCK_SEQPACKET);
        p.server.attach(std::move(b));
        p.server.on_lost = [&] { p.loop.stop(); };
        REQUIRE(send_datagram(a.get(), bad, "", {}) == SendStatus::sent);
        p.loop.run();
        CHECK_FALSE(p.server.connected());
        CHECK(resolver.asked == 0);
        p.finish();
    }
}

namespace {

// Notes what arrives, with or without the descriptors that belong to it.
struct Arrivals {
    std::string seen;
    void file(OpenFile message) { seen += message.file ? message.name + ";" : "nothing;"; }
    void fault(Fault message) { seen += cat(message.what.size(), ";"); }
    task<AttachAnswer> attach(AttachSession message) {
        seen += message.client ? "session;" : "nothing;";
        co_return AttachAnswer{true, ""};
    }
};

task<> ask_with(Channel& channel, UniqueFd descriptor, std::string& out) {
    AttachSession message;
    message.client = std::move(descriptor);
    message.session_hint.assign(50'000, 'x');
    try {
        co_await channel.call(std::move(message), 60'000);
        out += "answered;";
    } catch (const PeerLost&) {
        out += "lost;";
    }
}

void turn(Loop& loop, int times) {
    for (int i = 0; i < times; ++i) {
        loop.post([&loop] { loop.stop(); });
        loop.run();
    }
}

} // namespace

TEST_CASE("without descriptors no frame waits for the socket without those that belong to it") {
    Pair p;
    Arrivals arrivals;
    p.server.on<OpenFile>(arrivals, &Arrivals::file);
    p.server.on<Fault>(arrivals, &Arrivals::fault);
    p.server.on<AttachSession>(arrivals, &Arrivals::attach);
    p.connect();
    OpenFile file{"a", open_or_throw("/dev/null", O_RDONLY)};
    std::string out;
    CHECK(p.client.send(file));
    p.nursery.spawn(ask_with(p.client, UniqueFd(::dup(file.file.get())), out));
    turn(p.loop, 10);
    CHECK(arrivals.seen == "a;session;");
    CHECK(out == "answered;");

    log::Event("ipc.message_dropped", log::Level::error); // UBSan knows the class from now on
    constexpr int kFaults = 20;                           // more than the socket takes
    for (int i = 0; i < kFaults; ++i)
        CHECK(p.client.send(Fault{std::string(60'000, 'x')}));
    CHECK(p.client.send(file)); // waits with a descriptor of its own
    file.name = "b";
    UniqueFd last(::dup(file.file.get()));
    out.clear();
    bool with = true, without = false;
    {
        const NoDescriptors none;
        with = p.client.send(file);
        without = p.client.send(Fault{"y"}); // needs none
        p.nursery.spawn(ask_with(p.client, std::move(last), out));
    }
    CHECK_FALSE(with);
    CHECK(without);
    CHECK(p.client.connected());
    arrivals.seen.clear();
    turn(p.loop, 100);
    std::string expected;
    for (int i = 0; i < kFaults; ++i)
        expected += "60000;";
    CHECK(arrivals.seen == expected + "a;1;");
    CHECK(out == "lost;"); // at once
    file.name = "c";
    CHECK(p.client.send(file));
    turn(p.loop, 10);
    CHECK(arrivals.seen == expected + "a;1;c;");
    p.finish();
}

TEST_CASE("without descriptors requests that waited for the peer are sent or lost, none without") {
    Pair p;
    Arrivals arrivals;
    p.server.on<AttachSession>(arrivals, &Arrivals::attach);
    const UniqueFd file = open_or_throw("/dev/null", O_RDONLY);
    p.connect();
    std::string out;
    p.nursery.spawn(ask_with(p.client, UniqueFd(::dup(file.get())), out));
    turn(p.loop, 10);
    CHECK(out == "answered;");
    p.client.drop("away");
    turn(p.loop, 10);
    out.clear();
    arrivals.seen.clear();
    constexpr size_t kRequests = 20; // more than the socket takes
    for (size_t i = 0; i < kRequests; ++i)
        p.nursery.spawn(ask_with(p.client, UniqueFd(::dup(file.get())), out));
    auto [a, b] = socket_pair(SOCK_SEQPACKET);
    {
        const NoDescriptors none;
        p.client.attach(std::move(a));
    }
    p.server.attach(std::move(b));
    turn(p.loop, 100);
    const auto count = [&](std::string_view what) {
        size_t n = 0;
        for (const auto word : split(out, ';'))
            n += word == what;
        return n;
    };
    CHECK(count("answered") >= 1);
    CHECK(count("lost") >= 1);
    CHECK(count("answered") + count("lost") == kRequests);
    CHECK(arrivals.seen.find("nothing") == std::string::npos);
    CHECK(p.client.connected());
    p.finish();
}

TEST_CASE("every cut of a message is refused") {
    DeliveryFacts facts;
    facts.prefix = "Received: x\r\n";
    facts.rcpt_no = 7;
    const std::string wire = encode(facts);
    CHECK(decode<DeliveryFacts>(wire)->rcpt_no == 7);
    for (size_t cut = 0; cut < wire.size(); ++cut) {
        CHECK_FALSE(decode<DeliveryFacts>(wire.substr(0, cut)));
    }
    CHECK_FALSE(decode<DeliveryFacts>(wire + "x"));
}

TEST_CASE("descriptors travel in their field") {
    SpoolOpened opened;
    opened.body = open_or_throw("/dev/null", O_WRONLY);
    Writer writer;
    writer(opened);
    REQUIRE(writer.fds().size() == 1);
    std::vector<UniqueFd> fds;
    fds.emplace_back(::dup(writer.fds()[0]));
    auto back = decode<SpoolOpened>(writer.bytes(), fds);
    REQUIRE(back);
    CHECK(back->body.valid());
    std::vector<UniqueFd> none;
    CHECK_FALSE(decode<SpoolOpened>(writer.bytes(), none));
}

TEST_CASE("an enum beyond its last value is refused") {
    DnsAnswer answer;
    std::string wire = encode(answer);
    wire[0] = 4;
    CHECK_FALSE(decode<DnsAnswer>(wire));
}

namespace {

task<AdminAnswer> many_rows() {
    AdminAnswer answer;
    answer.rows.assign(1000, {std::string(100, 'x')});
    co_return answer;
}

task<> ask_server(Loop& loop, Channel& channel, AdminRequest request, AdminAnswer& out) {
    out = co_await channel.call(std::move(request));
    loop.stop();
}

} // namespace

// RULES.md A12.
TEST_CASE("an answer to the command line that fits no datagram is an error, and ends nobody") {
    char directory[] = "/tmp/tambo-ipc-XXXXXX";
    REQUIRE(::mkdtemp(directory) != nullptr);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    cat(directory, "/socket").copy(address.sun_path, sizeof address.sun_path - 1);
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(listener.get(), raw, sizeof address) == 0);
    REQUIRE(::listen(listener.get(), 5) == 0);
    UniqueFd client(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), raw, sizeof address) == 0);

    Loop loop;
    Nursery nursery(loop);
    AdminServer server(nursery, std::move(listener));
    Channel command(nursery, "daemon");
    command.attach(std::move(client));
    AdminAnswer answer;
    server.on("many", [](const AdminRequest&, Asker) { return many_rows(); });
    for (const auto& [verb, error] :
         {std::pair<std::string, std::string>{"many", "the answer is too long"},
          {"nothing", "unknown verb nothing; known: many"}}) {
        AdminRequest request;
        request.verb = verb;
        nursery.spawn(ask_server(loop, command, request, answer));
        loop.run();
        CHECK(answer.error == error);
        CHECK(answer.exit_code != 0);
    }
    nursery.cancel();
    command.drop("end");
    ::unlink(address.sun_path);
    ::rmdir(directory);
}

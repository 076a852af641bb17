// The resolver with real sockets, against servers that answer by script: RULES.md N1 to N3.
#include "dnsd/resolver.h"

#include "common/base/limits.h"
#include "tests/unit/dnsd/packet_builder.h"
#include "tests/unit/dnsd/scripted_server.h"

#include <catch2/catch.hpp>

#include <set>

using namespace tambo;
using namespace tambo::dnsd;
using namespace tambo::test;
using ipc::DnsStatus;
using ipc::DnsType;

namespace {

using Messages = std::vector<std::string>;

struct FakeClock final : Clock {
    int64_t ahead_ms = 0;
    UtcTime now() override { return UtcTime{0}; }
    int64_t monotonic_ms() override { return Loop::monotonic_ms() + ahead_ms; }
};

struct Fixture {
    Loop loop;
    Nursery nursery{loop};
    FakeClock clock;
    SystemRandom random;
    Resolver resolver{nursery, clock, random};
    std::vector<std::unique_ptr<ScriptedServer>> servers;
    size_t waiting = 0;

    ~Fixture() {
        nursery.cancel();
        loop.post([this] { loop.stop(); });
        loop.run();
    }
    ScriptedServer& serve(ScriptedServer::Answer answer) {
        servers.push_back(std::make_unique<ScriptedServer>(loop, std::move(answer)));
        use();
        return *servers.back();
    }
    void use() {
        std::vector<conf::Endpoint> endpoints;
        for (const auto& server : servers)
            endpoints.push_back({"127.0.0.1", server->port()});
        resolver.set_servers(servers_of(endpoints));
    }
    static task<> ask_into(Fixture& self, std::string name, DnsType type, ipc::DnsAnswer& out) {
        ipc::DnsLookup question;
        question.name = std::move(name);
        question.type = type;
        out = co_await self.resolver.lookup(std::move(question));
        if (--self.waiting == 0) self.loop.stop();
    }
    std::vector<ipc::DnsAnswer> ask_all(const std::vector<std::string>& names, DnsType type) {
        std::vector<ipc::DnsAnswer> answers(names.size());
        waiting = names.size();
        for (size_t i = 0; i < names.size(); ++i) {
            nursery.spawn(ask_into(*this, names[i], type, answers[i]));
        }
        if (waiting > 0) loop.run();
        return answers;
    }
    ipc::DnsAnswer ask(const std::string& name, DnsType type = DnsType::a) {
        return ask_all({name}, type)[0];
    }
};

Messages address(const std::string& query, bool) {
    return {Packet(query).record(1, "1234").bytes()};
}
Messages nothing(const std::string&, bool) {
    return {};
}

} // namespace

TEST_CASE("a question goes out as it is, and its answer is kept") {
    Fixture f;
    auto& server = f.serve(address);
    const auto answer = f.ask("Mail.Example.TEST.");
    CHECK(answer.status == DnsStatus::found);
    CHECK(answer.records.at(0).text == "49.50.51.52");
    CHECK_FALSE(answer.secure);
    REQUIRE(server.udp_queries.size() == 1);
    const auto& query = server.udp_queries[0];
    CHECK(query.substr(12, 19) == wire_name("mail.example.test"));
    CHECK(query.substr(2, 2) == std::string("\x01\x20", 2)); // RD, AD
    CHECK(query.substr(4, 8) == std::string("\0\1\0\0\0\0\0\1", 8));
    CHECK(query.substr(query.size() - 11) == std::string("\0\0\x29\x04\xD0\0\0\0\0\0\0", 11));
    f.ask("mail.example.test");
    CHECK(server.udp_queries.size() == 1);
    f.clock.ahead_ms = 301'000;
    f.ask("mail.example.test");
    CHECK(server.udp_queries.size() == 2);
}

TEST_CASE("equal questions on their way are asked once") {
    Fixture f;
    auto& server = f.serve(address);
    const auto answers = f.ask_all(std::vector<std::string>(50, "a.test"), DnsType::a);
    for (const auto& answer : answers)
        CHECK(answer.status == DnsStatus::found);
    CHECK(server.udp_queries.size() == 1);
}

TEST_CASE("many questions at a time: more than there are exchanges, each from its own port") {
    Fixture f;
    auto& server = f.serve(address);
    std::vector<std::string> names;
    for (int i = 0; i < 250; ++i)
        names.push_back("h" + std::to_string(i) + ".test");
    for (const auto& answer : f.ask_all(names, DnsType::a)) {
        CHECK(answer.status == DnsStatus::found);
    }
    REQUIRE(server.udp_queries.size() == 250);
    REQUIRE(server.client_ports.size() >= 100);
    const std::set<uint16_t> first_ports(server.client_ports.begin(),
                                         server.client_ports.begin() + 100);
    CHECK(first_ports.size() == 100);
    std::set<std::string> ids;
    for (const auto& query : server.udp_queries)
        ids.insert(query.substr(0, 2));
    CHECK(ids.size() > 200);
}

TEST_CASE("names that nobody can have are not asked for") {
    Fixture f;
    auto& server = f.serve(address);
    CHECK(f.ask("a..test").status == DnsStatus::no_name);
    CHECK(f.ask("a b.test").status == DnsStatus::no_name);
    CHECK(f.ask("not-an-address", DnsType::ptr).status == DnsStatus::no_name);
    CHECK(server.udp_queries.empty());
}

TEST_CASE("search domains are not used: one question for an unknown name") {
    Fixture f;
    auto& server = f.serve([](const std::string& query, bool) {
        return Messages{Packet(query).rcode(3).soa(60, 60).bytes()};
    });
    CHECK(f.ask("short").status == DnsStatus::no_name);
    CHECK(f.ask("short").status == DnsStatus::no_name); // RFC 2308: from the cache
    CHECK(server.udp_queries.size() == 1);
}

TEST_CASE("what does not fit UDP comes by TCP") {
    Fixture f;
    auto& server = f.serve([](const std::string& query, bool tcp) {
        Packet packet(query);
        if (!tcp) return Messages{packet.flags(0x200).bytes()};
        for (unsigned i = 0; i < 3500; ++i)
            packet.record(15, be16(i) + wire_name("m"));
        return Messages{packet.bytes()};
    });
    const auto answer = f.ask("example.test", DnsType::mx);
    CHECK(answer.status == DnsStatus::found);
    CHECK(answer.records.size() == limits::dns_mx_max); // RULES.md N3
    CHECK(server.tcp_queries.size() == 1);
}

TEST_CASE("N1: nonsense is a temporary failure") {
    Fixture f;
    int turn = 0;
    f.serve([&turn](const std::string& query, bool) {
        switch (turn++) {
        case 0:
            return Messages{Packet(query).count_answers(65535).bytes()};
        case 1:
            return Messages{Packet(query).record(15, be16(1) + be16(0xC000 | 41)).bytes()};
        case 2:
            return Messages{Packet(query).record(15, "").bytes()};
        default:
            return Messages{Packet(query).rcode(2).bytes()};
        }
    });
    for (const auto* name : {"a.test", "b.test", "c.test", "d.test"}) {
        CHECK(f.ask(name, DnsType::mx).status == DnsStatus::temporary);
    }
    CHECK(turn == 4);
}

TEST_CASE("a forged answer is passed over: wrong id, wrong question") {
    Fixture f;
    f.serve([](const std::string& query, bool) {
        auto wrong_id = Packet(query).record(1, "evil").bytes();
        wrong_id[0] = static_cast<char>(wrong_id[0] ^ 0x55);
        auto other = Packet("other.test", 1).record(1, "evil").bytes();
        other.replace(0, 2, query.substr(0, 2));
        return Messages{wrong_id, other, Packet(query).record(1, "1234").bytes()};
    });
    CHECK(f.ask("a.test").records.at(0).text == "49.50.51.52");
}

TEST_CASE("N2: a resolver that stalls costs five seconds and blocks nobody") {
    Fixture f;
    f.serve(nothing);
    bool ticked = false;
    f.nursery.spawn([](Nursery& nursery, bool& done) -> task<> {
        co_await sleep_ms(nursery, 20);
        done = true;
    }(f.nursery, ticked));
    const int64_t start_ms = Loop::monotonic_ms();
    CHECK(f.ask("a.test").status == DnsStatus::temporary);
    const int64_t took_ms = Loop::monotonic_ms() - start_ms;
    CHECK(took_ms >= limits::dns_query_timeout_ms - 100);
    CHECK(ticked);
}

TEST_CASE("a server that fails or is silent is passed over, and asked last from then on") {
    Fixture f;
    auto& failing = f.serve(
        [](const std::string& query, bool) { return Messages{Packet(query).rcode(2).bytes()}; });
    auto& good = f.serve(address);
    CHECK(f.ask("a.test").status == DnsStatus::found);
    CHECK(f.ask("b.test").status == DnsStatus::found);
    CHECK(failing.udp_queries.size() == 1);
    CHECK(good.udp_queries.size() == 2);

    Fixture g;
    auto& silent = g.serve(nothing);
    g.serve(address);
    CHECK(g.ask("a.test").status == DnsStatus::found);
    const size_t asked = silent.udp_queries.size();
    CHECK(g.ask("b.test").status == DnsStatus::found);
    CHECK(silent.udp_queries.size() == asked);
}

TEST_CASE("without servers, and with a dead one, the answer is temporary") {
    Fixture f;
    CHECK(f.ask("a.test").status == DnsStatus::temporary);
    uint16_t port = 0;
    {
        const ScriptedServer gone(f.loop, nothing);
        port = gone.port();
    }
    f.resolver.set_servers(servers_of({{"127.0.0.1", port}}));
    CHECK(f.ask("a.test").status == DnsStatus::temporary);
}

TEST_CASE("AD counts only from a trusted server") {
    Fixture f;
    auto& server = f.serve([](const std::string& query, bool) {
        return Messages{Packet(query).record(1, "1234").flags(0x20).bytes()};
    });
    CHECK(f.ask("a.test").secure);
    auto untrusted = servers_of({{"127.0.0.1", server.port()}});
    untrusted[0].trusted = false;
    f.resolver.set_servers(untrusted); // and forgets what the old ones said
    CHECK_FALSE(f.ask("a.test").secure);
}

TEST_CASE("a server without EDNS is asked without") {
    Fixture f;
    auto& server = f.serve([](const std::string& query, bool) {
        Packet packet(query);
        if (query[11] != 0) return Messages{packet.rcode(1).bytes()};
        return Messages{packet.record(1, "1234").bytes()};
    });
    CHECK(f.ask("a.test").status == DnsStatus::found);
    for (int i = 0; i < 20; ++i) {
        CHECK(f.ask("b" + std::to_string(i) + ".test").status == DnsStatus::found);
    }
    size_t refused = 0;
    for (const auto& query : server.udp_queries)
        refused += query[11] != 0;
    CHECK(refused <= 2);
}

TEST_CASE("questions end with their nursery") {
    Fixture f;
    f.serve(nothing);
    ipc::DnsAnswer unanswered;
    f.waiting = 3;
    for (const char* name : {"a.test", "a.test", "b.test"}) {
        f.nursery.spawn(Fixture::ask_into(f, name, DnsType::a, unanswered));
    }
    f.loop.post([&f] { f.loop.stop(); });
    f.loop.run();
    CHECK(f.nursery.size() > 0);
} // ~Fixture cancels; ~Nursery checks that nothing is left

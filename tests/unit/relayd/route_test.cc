// RFC 5321 5.1, RFC 7505, RULES.md N2 to N4.
#include "relayd/route.h"

#include "common/base/limits.h"
#include "tests/unit/relayd/fake_names.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

using namespace tambo;
using namespace tambo::relayd;
using namespace tambo::test;
using ipc::DnsType;

namespace {

struct FakeClock final : Clock {
    int64_t ms = 1'000'000;
    UtcTime now() override { return UtcTime{ms}; }
    int64_t monotonic_ms() override { return ms; }
};

struct FakeOurselves final : Ourselves {
    bool is_own(const net::SocketAddress& address) const override {
        return address.ip() == "192.0.2.99";
    }
    bool is_own_name(const std::string& host) const override { return host == "we.test"; }
};

struct Fixture {
    FakeNames names;
    FakeOurselves ourselves;
    SeededRandom random{1};
    FakeClock clock;

    static task<> find(Fixture& self, std::string destination, bool host, Route& out) {
        const Router::World world{self.names, self.ourselves, self.random, self.clock};
        Router router(world, 25);
        if (host) {
            out = co_await router.to_host(std::move(destination));
        } else {
            out = co_await router.to_destination(std::move(destination));
        }
    }
    Route route(const std::string& destination, bool host = false) {
        Loop loop;
        Nursery nursery(loop);
        Route found;
        nursery.spawn(find(*this, destination, host, found));
        REQUIRE(nursery.size() == 0); // nothing in a table suspends
        return found;
    }
    std::string hosts(const std::string& destination) {
        std::string list;
        for (const auto& hop : route(destination).hops)
            list += hop.address.ip() + " ";
        return list;
    }
    std::string failure(const std::string& destination, bool host = false) {
        const auto found = route(destination, host);
        if (!found.failure) return "none";
        CHECK(found.hops.empty());
        CHECK(found.failure->permanent == (found.failure->status.code >= 500));
        return std::to_string(found.failure->status.code) + " " + found.failure->status.enhanced;
    }
};

} // namespace

TEST_CASE("the best mail exchanger comes first") {
    Fixture f;
    f.names.mx("d.test", 20, "b.test");
    f.names.mx("d.test", 10, "a.test");
    f.names.address("a.test", "192.0.2.1");
    f.names.address("b.test", "192.0.2.2");
    CHECK(f.hosts("d.test") == "192.0.2.1 192.0.2.2 ");
    const auto hop = f.route("d.test").hops[0];
    CHECK(hop.host == "a.test");
    CHECK(hop.text() == "a.test[192.0.2.1]:25");
}

TEST_CASE("equal mail exchangers come in any order, worse ones behind them") {
    Fixture f;
    for (const std::string name : {"a", "b", "c"}) {
        f.names.mx("d.test", 10, name + ".test");
        f.names.address(name + ".test", "192.0.2." + std::to_string(name[0] - 'a' + 1));
    }
    f.names.mx("d.test", 20, "z.test");
    f.names.address("z.test", "192.0.2.50");
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) {
        const auto order = f.hosts("d.test");
        CHECK(order.ends_with(" 192.0.2.50 "));
        seen.insert(order);
    }
    CHECK(seen.size() == 6);
}

TEST_CASE("both families by turns, either first") {
    Fixture f;
    f.names.mx("d.test", 10, "a.test");
    for (const char* ip : {"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"}) {
        f.names.address("a.test", ip);
    }
    std::set<bool> first;
    for (int i = 0; i < 50; ++i) {
        const auto hops = f.route("d.test").hops;
        REQUIRE(hops.size() == 5);
        first.insert(hops[0].address.is_v6());
        for (size_t k = 1; k < 4; ++k) {
            CHECK(hops[k].address.is_v6() != hops[k - 1].address.is_v6());
        }
    }
    CHECK(first.size() == 2);
}

TEST_CASE("without MX the domain is its own mail exchanger") {
    Fixture f;
    f.names.address("d.test", "192.0.2.7");
    CHECK(f.hosts("d.test") == "192.0.2.7 ");
    CHECK(f.route("d.test").hops[0].host == "d.test");
}

TEST_CASE("null MX: at once and for good") {
    Fixture f;
    f.names.mx("d.test", 0, ".");
    f.names.address("d.test", "192.0.2.7");
    CHECK(f.failure("d.test") == "556 5.1.10");
    f.names.mx("d.test", 10, "a.test"); // beside another record it means nothing
    f.names.address("a.test", "192.0.2.1");
    CHECK(f.hosts("d.test") == "192.0.2.1 ");
}

TEST_CASE("names that do not exist, answers that do not come, addresses that are not there") {
    Fixture f;
    CHECK(f.failure("nowhere.test") == "550 5.1.2");
    f.names.fail("slow.test", DnsType::mx);
    CHECK(f.failure("slow.test") == "451 4.4.3");
    // Whether it is the resolver here or a server there that does not answer, nobody knows.
    CHECK(f.route("slow.test").failure->status.text ==
          "no answer about slow.test from this server's DNS resolver");
    f.names.mx("d.test", 10, "gone.test");
    CHECK(f.failure("d.test") == "550 5.4.4");
    f.names.fail("gone.test", DnsType::aaaa);
    CHECK(f.failure("d.test") == "451 4.4.3");
    f.names.mx("d.test", 20, "b.test");
    f.names.address("b.test", "192.0.2.2");
    CHECK(f.hosts("d.test") == "192.0.2.2 ");
    f.names.empty("odd.test", DnsType::mx); // records, but no host names
    f.names.address("odd.test", "192.0.2.7");
    CHECK(f.failure("odd.test") == "451 4.4.4");
    f.names.record("only-txt.test", DnsType::txt, "x", 0);
    CHECK(f.failure("only-txt.test") == "550 5.4.4");
}

TEST_CASE("N4: mail never goes to ourselves or to a worse exchanger than we are") {
    Fixture f;
    f.names.mx("d.test", 10, "a.test");
    f.names.mx("d.test", 20, "we.test");
    f.names.mx("d.test", 20, "equal.test");
    f.names.mx("d.test", 30, "worse.test");
    f.names.address("a.test", "192.0.2.1");
    f.names.address("equal.test", "192.0.2.2");
    f.names.address("worse.test", "192.0.2.3");
    CHECK(f.hosts("d.test") == "192.0.2.1 ");

    f.names.mx("best.test", 1, "we.test");
    f.names.mx("best.test", 2, "worse.test");
    CHECK(f.failure("best.test") == "554 5.4.6");

    // The same by address, under another name.
    f.names.mx("alias.test", 10, "a.test");
    f.names.mx("alias.test", 20, "mail.alias.test");
    f.names.mx("alias.test", 20, "equal.test");
    f.names.mx("alias.test", 30, "worse.test");
    f.names.address("mail.alias.test", "2001:db8::5");
    f.names.address("mail.alias.test", "192.0.2.99");
    CHECK(f.hosts("alias.test") == "192.0.2.1 ");
    f.names.address("self.test", "192.0.2.99");
    CHECK(f.failure("self.test") == "554 5.4.6");
    CHECK(f.failure("we.test") == "550 5.1.2"); // has no records here
}

TEST_CASE("address literals") {
    Fixture f;
    CHECK(f.hosts("[192.0.2.1]") == "192.0.2.1 ");
    CHECK(f.hosts("[IPv6:2001:db8::1]") == "2001:db8::1 ");
    CHECK(f.route("[192.0.2.1]").hops[0].text() == "[192.0.2.1]:25");
    CHECK(f.failure("[192.0.2.99]") == "554 5.4.6");
    CHECK(f.failure("[192.0.2]") == "550 5.1.2");
    CHECK(f.names.asked.empty());
}

TEST_CASE("a smarthost is looked up by its address only, and its failures are temporary") {
    Fixture f;
    f.names.mx("hub.test", 10, "a.test");
    f.names.address("hub.test", "192.0.2.8");
    CHECK(f.route("hub.test", true).hops.at(0).address.ip() == "192.0.2.8");
    CHECK(f.route("192.0.2.4", true).hops.at(0).address.ip() == "192.0.2.4");
    CHECK(f.failure("nowhere.test", true) == "451 4.4.3");
    f.names.address("self.test", "192.0.2.99");
    CHECK(f.failure("self.test", true) == "451 4.3.5");
}

TEST_CASE("N3: the number of look-ups and addresses is bounded") {
    Fixture f;
    for (int i = 0; i < 100; ++i) {
        const auto host = "h" + std::to_string(i) + ".test";
        f.names.mx("d.test", 10, host);
        for (int k = 0; k < 10; ++k)
            f.names.address(host, "198.51.100." + std::to_string(k));
    }
    CHECK(f.route("d.test").hops.size() == limits::dns_addresses_max);
    CHECK(f.names.asked.size() <= 1 + 2 * limits::dns_mx_max);
}

TEST_CASE("later exchangers are not looked up when the first ones suffice") {
    Fixture f;
    f.names.mx("d.test", 10, "a.test");
    f.names.mx("d.test", 20, "b.test");
    for (int k = 0; k < 6; ++k)
        f.names.address("a.test", "192.0.2." + std::to_string(k + 1));
    CHECK(f.route("d.test").hops.size() == 6);
    for (const auto& [name, type] : f.names.asked)
        CHECK(name != "b.test");
}

TEST_CASE("N2: all look-ups of a delivery share 20 seconds") {
    Fixture f;
    for (int i = 0; i < 20; ++i) {
        f.names.mx("d.test", static_cast<uint16_t>(i), "h" + std::to_string(i) + ".test");
        f.names.fail("h" + std::to_string(i) + ".test", DnsType::a);
        f.names.fail("h" + std::to_string(i) + ".test", DnsType::aaaa);
    }
    f.names.on_lookup = [&f] {
        CHECK(f.names.last_timeout_ms <= limits::dns_delivery_timeout_ms);
        f.clock.ms += 4000;
    };
    CHECK(f.failure("d.test") == "451 4.4.3");
    CHECK(f.names.asked.size() == 5);
    CHECK(f.names.last_timeout_ms == 4000);
}

namespace {

bool own(const conf::RelaydConfig& config,
         const std::string& ip,
         uint16_t port,
         std::vector<std::string> local = {"192.0.2.5"}) {
    const ConfiguredOurselves ourselves(config, std::move(local));
    return ourselves.is_own(*net::SocketAddress::parse(ip, port));
}

} // namespace

TEST_CASE("which addresses are our own listeners") {
    conf::RelaydConfig config;
    config.hostname = "We.test";
    config.own_listeners = {{"", 25}};
    CHECK(own(config, "192.0.2.5", 25));
    CHECK(own(config, "127.0.0.1", 25));
    CHECK(own(config, "127.9.9.9", 25));
    CHECK(own(config, "::1", 25));
    CHECK(own(config, "::ffff:127.0.0.1", 25));
    CHECK(own(config, "0.0.0.0", 25));
    CHECK(own(config, "::", 25));
    CHECK_FALSE(own(config, "198.51.100.1", 25));
    CHECK_FALSE(own(config, "192.0.2.5", 26));
    // A test set-up: other servers live on loopback too, with a port of their own.
    config.own_listeners = {{"127.0.0.1", 2525}, {"0.0.0.0", 2526}};
    CHECK(own(config, "127.0.0.1", 2525));
    CHECK_FALSE(own(config, "127.0.0.2", 2525));
    CHECK_FALSE(own(config, "127.0.0.1", 2600));
    CHECK(own(config, "127.0.0.2", 2526));
    CHECK(own(config, "192.0.2.5", 2526));
    CHECK(own(config, "127.0.0.1", 25));
    const ConfiguredOurselves ourselves(config, {});
    CHECK(ourselves.is_own_name("we.TEST"));
    CHECK_FALSE(ourselves.is_own_name("mx.we.test"));
}

TEST_CASE("addresses of interfaces") {
    const auto addresses = interface_addresses();
    CHECK(std::ranges::find(addresses, "127.0.0.1") != addresses.end());
}

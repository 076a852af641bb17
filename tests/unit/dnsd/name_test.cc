#include "dnsd/name.h"

#include "dnsd/cache.h"
#include "dnsd/servers.h"

#include <catch2/catch.hpp>

#include <string>

using namespace tambo;
using namespace tambo::dnsd;
using ipc::DnsStatus;
using ipc::DnsType;

TEST_CASE("names that can be asked for") {
    CHECK(question_name("Example.TEST.") == "example.test");
    CHECK(question_name("_dmarc.example.test") == "_dmarc.example.test");
    CHECK(question_name("localhost") == "localhost");
    CHECK(question_name(std::string(63, 'a')));
    CHECK_FALSE(question_name(std::string(64, 'a')));
    std::string name;
    for (int i = 0; i < 127; ++i)
        name += "a.";
    CHECK(question_name(name)); // 253 and the final dot
    CHECK_FALSE(question_name(name + "b"));
    for (const std::string_view bad :
         {std::string_view(""), std::string_view("."), std::string_view("a..b"),
          std::string_view(".a"), std::string_view("a.."), std::string_view("a b"),
          std::string_view("a\0b", 3), std::string_view("b\xC3\xBC.test"),
          std::string_view("a/b")}) {
        CHECK_FALSE(question_name(bad));
    }
}

TEST_CASE("names of addresses") {
    CHECK(reverse_name("192.0.2.1") == "1.2.0.192.in-addr.arpa");
    CHECK(reverse_name("2001:db8::1") ==
          "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    CHECK_FALSE(reverse_name("192.0.2"));
    CHECK_FALSE(reverse_name("mx.example.test"));
    CHECK_FALSE(reverse_name(std::string_view("192.0.2.1\0x", 11)));
    CHECK_FALSE(reverse_name(""));
}

TEST_CASE("resolv.conf: nameservers and trust-ad, nothing else") {
    const auto servers = parse_resolv_conf("# comment\n"
                                           "search example.test\n"
                                           "nameserver 192.0.2.53 ; the near one\n"
                                           "nameserver\t2001:DB8::53\r\n"
                                           "nameserver fe80::1%eth0\n"
                                           "nameserver dns.example.test\n"
                                           "nameserver\n"
                                           "nameserver 127.0.0.53\n"
                                           "options edns0 timeout:1\n"
                                           "nameserver ::1");
    REQUIRE(servers.size() == 4);
    CHECK(servers[0].text() == "192.0.2.53:53");
    CHECK_FALSE(servers[0].trusted);
    CHECK(servers[1].text() == "[2001:db8::53]:53");
    CHECK(servers[2].trusted);
    CHECK(servers[2].wants_do);
    CHECK(servers[3].trusted);
    CHECK_FALSE(servers[3].wants_do);
    CHECK(parse_resolv_conf("nameserver 192.0.2.1\noptions edns0 trust-ad").at(0).trusted);
    CHECK(parse_resolv_conf("").empty());
    std::string many;
    for (int i = 0; i < 20; ++i)
        many += "nameserver 192.0.2.1\n";
    CHECK(parse_resolv_conf(many).size() == kServersMax);
}

TEST_CASE("dns.servers keep their ports") {
    const auto servers = servers_of({{"127.0.0.1", 5353}, {"::1", 53}, {"", 53}});
    REQUIRE(servers.size() == 2);
    CHECK(servers[0].text() == "127.0.0.1:5353");
    CHECK(servers[1].text() == "[::1]:53");
}

namespace {

ipc::DnsAnswer found(std::string text, uint32_t ttl_s) {
    ipc::DnsAnswer answer;
    answer.status = DnsStatus::found;
    answer.records.push_back({std::move(text), 0});
    answer.ttl_s = ttl_s;
    return answer;
}

} // namespace

TEST_CASE("the cache keeps an answer as long as its time to live") {
    Cache cache(10, 100'000);
    cache.put("a.test", DnsType::a, found("192.0.2.1", 10), 1000);
    REQUIRE(cache.find("a.test", DnsType::a, 1000));
    CHECK(cache.find("a.test", DnsType::a, 5500)->ttl_s == 5);
    CHECK_FALSE(cache.find("a.test", DnsType::aaaa, 1000));
    CHECK_FALSE(cache.find("a.test", DnsType::a, 11'000));
    CHECK(cache.size() == 0);
    CHECK(cache.bytes() == 0);
    cache.put("a.test", DnsType::a, found("192.0.2.1", 0), 0);
    auto temporary = found("x", 10);
    temporary.status = DnsStatus::temporary;
    cache.put("a.test", DnsType::a, temporary, 0);
    CHECK(cache.size() == 0);
}

TEST_CASE("the cache is bounded; what was used least recently goes") {
    Cache cache(3, 100'000);
    for (const char* name : {"a", "b", "c"})
        cache.put(name, DnsType::a, found("1", 60), 0);
    REQUIRE(cache.find("a", DnsType::a, 0));
    cache.put("d", DnsType::a, found("1", 60), 0);
    CHECK(cache.size() == 3);
    CHECK(cache.find("a", DnsType::a, 0));
    CHECK_FALSE(cache.find("b", DnsType::a, 0));
    cache.put("d", DnsType::a, found("2", 60), 0);
    CHECK(cache.size() == 3);
    CHECK(cache.find("d", DnsType::a, 0)->records[0].text == "2");

    Cache small(100, 2000);
    for (int i = 0; i < 50; ++i) {
        small.put(std::to_string(i), DnsType::txt, found(std::string(400, 't'), 60), 0);
        CHECK(small.bytes() <= 2000);
    }
    CHECK(small.size() == 2);
    small.put("big", DnsType::txt, found(std::string(4000, 't'), 60), 0);
    CHECK(small.size() == 2);
}

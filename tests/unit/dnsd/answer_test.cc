// RULES.md N1, N3 and N5, and RFC 2308, on single messages.
#include "dnsd/answer.h"

#include "common/base/limits.h"
#include "common/ipc/codec.h"
#include "tests/unit/dnsd/packet_builder.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::dnsd;
using namespace tambo::test;
using ipc::DnsStatus;
using ipc::DnsType;

namespace {

std::optional<Message> mx_message(const Packet& packet) {
    return parse_message(packet.bytes(), "example.test", DnsType::mx);
}

Packet mx_packet() {
    return Packet("example.test", 15);
}

} // namespace

TEST_CASE("MX records come in order of preference, in lower case") {
    const auto message =
        mx_message(mx_packet().mx(20, "B.Example.TEST").mx(10, "a.example.test", 60));
    REQUIRE(message);
    CHECK(message->answer.status == DnsStatus::found);
    REQUIRE(message->answer.records.size() == 2);
    CHECK(message->answer.records[0].text == "a.example.test");
    CHECK(message->answer.records[0].preference == 10);
    CHECK(message->answer.records[1].text == "b.example.test");
    CHECK(message->answer.ttl_s == 60);
    CHECK(message->answer.canonical_name == "example.test");
    CHECK_FALSE(message->authentic);
    CHECK(mx_message(mx_packet().mx(1, "a.test").flags(0x20))->authentic);
}

TEST_CASE("a null MX is a record whose name is the root") {
    const auto message = mx_message(mx_packet().mx(0, ""));
    REQUIRE(message);
    REQUIRE(message->answer.records.size() == 1);
    CHECK(message->answer.records[0].text == ".");
}

TEST_CASE("addresses, texts and pointers") {
    const std::string four("\xC0\x00\x02\x01", 4);
    const auto v4 =
        parse_message(Packet("h.test", 1).record(1, four).bytes(), "h.test", DnsType::a);
    REQUIRE(v4);
    CHECK(v4->answer.records.at(0).text == "192.0.2.1");
    const std::string sixteen = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + '\1';
    const auto v6 =
        parse_message(Packet("h.test", 28).record(28, sixteen).bytes(), "h.test", DnsType::aaaa);
    CHECK(v6->answer.records.at(0).text == "2001:db8::1");
    const auto txt = parse_message(Packet("h.test", 16).record(16, "\x06v=spf1\x05 -all").bytes(),
                                   "h.test", DnsType::txt);
    CHECK(txt->answer.records.at(0).text == "v=spf1 -all");
    const auto ptr = parse_message(
        Packet("1.2.0.192.in-addr.arpa", 12).record(12, wire_name("Mx.Example.test")).bytes(),
        "1.2.0.192.in-addr.arpa", DnsType::ptr);
    CHECK(ptr->answer.records.at(0).text == "mx.example.test");
}

TEST_CASE("N1: malformed messages say nothing") {
    const std::string self_pointer("\xC0\x1E", 2); // where the first owner stands: itself
    CHECK_FALSE(mx_message(mx_packet().record(15, be16(1) + "\1a", 300, self_pointer)));
    // The MX's name points at itself, forward, and back to a pointer that points forward.
    const size_t data_at = mx_packet().bytes().size() + 2 + 10;
    CHECK_FALSE(mx_message(
        mx_packet().record(15, be16(1) + be16(0xC000 | static_cast<unsigned>(data_at + 2)))));
    CHECK_FALSE(mx_message(
        mx_packet().record(15, be16(1) + be16(0xC000 | static_cast<unsigned>(data_at + 4)))));
    for (size_t size = 0; size < 4; ++size) { // RDLENGTH 0, 1, 2, 3
        CHECK_FALSE(mx_message(mx_packet().record(15, std::string("\0\1\1a", 4).substr(0, size))));
    }
    CHECK_FALSE(mx_message(mx_packet().mx(1, "a.test").count_answers(65535)));
    CHECK_FALSE(mx_message(mx_packet().count_answers(65535)));
    // RDATA longer than its name, a label type of RFC 2673, a label of 64 bytes.
    CHECK_FALSE(mx_message(mx_packet().record(15, be16(1) + wire_name("a.test") + "x")));
    CHECK_FALSE(mx_message(mx_packet().record(15, be16(1) + std::string("\x41"
                                                                        "aa\0",
                                                                        4))));
    CHECK_FALSE(mx_message(mx_packet().record(15, be16(1) + "\x40" + std::string(64, 'a') + '\0')));
    const auto txt = [](std::string_view data) {
        return parse_message(Packet("h.test", 16).record(16, data).bytes(), "h.test", DnsType::txt);
    };
    CHECK_FALSE(txt("\xFF"
                    "ab")); // character-string of 255 in RDLENGTH 3
    CHECK_FALSE(txt(""));
    CHECK(txt(std::string(1, '\0')));
    CHECK_FALSE(
        parse_message(Packet("h.test", 1).record(1, "12345").bytes(), "h.test", DnsType::a));
}

TEST_CASE("N1: names are at most 255 bytes and 128 pointers long") {
    std::string longest; // 3 * 64 + 62 + 1 = 255
    for (const size_t size : {63, 63, 63, 61}) {
        longest += (longest.empty() ? "" : ".") + std::string(size, 'a');
    }
    CHECK(mx_message(mx_packet().mx(1, longest)));
    CHECK_FALSE(mx_message(mx_packet().mx(1, longest + "a")));
    CHECK_FALSE(mx_message(mx_packet().mx(1, "b." + longest)));
    // A chain of pointers in records of a type that is skipped: each owner points to the previous.
    Packet chain = mx_packet();
    size_t at = chain.bytes().size();
    std::string owner = kAskedName;
    for (int i = 0; i < 140; ++i) {
        chain.record(16, "\1x", 300, owner);
        owner = be16(0xC000 | static_cast<unsigned>(at));
        at = chain.bytes().size();
        CHECK(mx_message(chain).has_value() == (i + 1 <= 128));
    }
}

TEST_CASE("every cut of a message is malformed, every flipped byte is harmless") {
    const auto whole = Packet("www.example.test", 1)
                           .cname("www.example.test", "example.test")
                           .record(1, "1234", 300, wire_name("example.test"))
                           .opt(0)
                           .bytes();
    REQUIRE(parse_message(whole, "www.example.test", DnsType::a));
    for (size_t size = 0; size < whole.size(); ++size) {
        CHECK_FALSE(parse_message(whole.substr(0, size), "www.example.test", DnsType::a));
    }
    for (size_t at = 0; at < whole.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            auto changed = whole;
            changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
            static_cast<void>(parse_message(changed, "www.example.test", DnsType::a));
        }
    }
}

TEST_CASE("an answer to another question is none") {
    const auto packet = mx_packet().mx(1, "a.test");
    CHECK_FALSE(parse_message(packet.bytes(), "example.org", DnsType::mx));
    CHECK_FALSE(parse_message(packet.bytes(), "example.test", DnsType::a));
    auto query = packet.bytes();
    query[2] = static_cast<char>(query[2] & 0x7F); // not a response
    CHECK_FALSE(parse_message(query, "example.test", DnsType::mx));
    // Records of other names and classes do not count.
    const auto other =
        mx_message(mx_packet()
                       .record(15, be16(1) + wire_name("evil.test"), 300, wire_name("other.test"))
                       .record(15, be16(1) + wire_name("chaos.test"), 300, kAskedName, 3));
    CHECK(other->answer.status == DnsStatus::no_data);
    CHECK(other->answer.records.empty());
}

TEST_CASE("N3: no more than the limits, and the best MX are kept") {
    auto packet = mx_packet();
    for (unsigned i = 5000; i > 0; --i)
        packet.record(15, be16(i) + wire_name("m"), 300);
    const auto message = mx_message(packet);
    REQUIRE(message);
    REQUIRE(message->answer.records.size() == limits::dns_mx_max);
    CHECK(message->answer.records.front().preference == 1);
    CHECK(message->answer.records.back().preference == limits::dns_mx_max);

    Packet addresses("h.test", 1);
    for (int i = 0; i < 200; ++i)
        addresses.record(1, "abcd");
    CHECK(parse_message(addresses.bytes(), "h.test", DnsType::a)->answer.records.size() ==
          limits::dns_addresses_max);
}

TEST_CASE("N3: texts that would not fit a message between processes are refused") {
    const auto message_with = [](int count) {
        Packet packet("h.test", 16);
        const std::string text = '\xFF' + std::string(255, 't');
        for (int i = 0; i < count; ++i)
            packet.record(16, text + text);
        return parse_message(packet.bytes(), "h.test", DnsType::txt);
    };
    const auto most = message_with(96);
    REQUIRE(most);
    CHECK(ipc::encode(most->answer).size() < limits::ipc_message_bytes);
    CHECK_FALSE(message_with(97));
}

TEST_CASE("aliases are followed within the message, eight at most, and never in circles") {
    const auto chain = [](int aliases) {
        Packet packet("c0.test", 1);
        for (int i = aliases; i-- > 0;) { // in the unusual order
            packet.cname("c" + std::to_string(i) + ".test", "c" + std::to_string(i + 1) + ".test",
                         100 + static_cast<uint32_t>(i));
        }
        packet.record(1, "1234", 300, wire_name("c" + std::to_string(aliases) + ".test"));
        return parse_message(packet.bytes(), "c0.test", DnsType::a);
    };
    const auto eight = chain(8);
    REQUIRE(eight);
    CHECK(eight->answer.records.at(0).text == "49.50.51.52");
    CHECK(eight->answer.canonical_name == "c8.test");
    CHECK(eight->answer.ttl_s == 100);
    CHECK_FALSE(chain(9));
    CHECK_FALSE(parse_message(
        Packet("a.test", 1).cname("a.test", "b.test").cname("b.test", "a.test").bytes(), "a.test",
        DnsType::a));
    const auto alias = parse_message(Packet("a.test", 5).cname("a.test", "B.test").bytes(),
                                     "a.test", DnsType::cname);
    CHECK(alias->answer.records.at(0).text == "b.test");
    const auto nowhere = parse_message(
        Packet("a.test", 1).cname("a.test", "b.test", 50).rcode(3).soa(900, 70).bytes(), "a.test",
        DnsType::a);
    CHECK(nowhere->answer.status == DnsStatus::no_name);
    CHECK(nowhere->answer.ttl_s == 50);
}

TEST_CASE("RFC 2308: how long a negative answer may be kept") {
    const auto no_name = mx_message(mx_packet().rcode(3).soa(900, 60));
    CHECK(no_name->answer.status == DnsStatus::no_name);
    CHECK(no_name->answer.ttl_s == 60);
    const auto no_data = mx_message(mx_packet().soa(30, 60));
    CHECK(no_data->answer.status == DnsStatus::no_data);
    CHECK(no_data->answer.ttl_s == 30);
    CHECK(mx_message(mx_packet().rcode(3))->answer.ttl_s == 0); // without SOA: not at all
    CHECK(mx_message(mx_packet().soa(1u << 30, 1u << 30))->answer.ttl_s == 3600);
    CHECK(mx_message(mx_packet().mx(1, "a.test", 1u << 30))->answer.ttl_s == 86'400);
    CHECK(mx_message(mx_packet().mx(1, "a.test", 0x80000001u))->answer.ttl_s == 0);
}

TEST_CASE("N5: names of hosts are letters, digits and hyphens, or they are left out") {
    const auto bad_label = std::string("\2\xFF\0\4test\0", 9);
    const auto ptr = [](std::string_view data) {
        return parse_message(Packet("1.0.0.10.in-addr.arpa", 12).record(12, data).bytes(),
                             "1.0.0.10.in-addr.arpa", DnsType::ptr);
    };
    for (const auto& name : {bad_label, wire_name("a b.test"), wire_name("-a.test"),
                             wire_name("a-.test"), wire_name("a_b.test"), wire_name("x;id.test"),
                             std::string("\3a.b\4test\0", 10), std::string(1, '\0')}) {
        const auto message = ptr(name);
        REQUIRE(message);
        CHECK(message->answer.status == DnsStatus::found);
        CHECK(message->answer.records.empty());
    }
    const auto mixed = mx_message(
        mx_packet().record(15, be16(1) + bad_label).mx(2, "good.test").mx(3, "a_b.test"));
    REQUIRE(mixed->answer.records.size() == 1);
    CHECK(mixed->answer.records[0].text == "good.test");
}

TEST_CASE("return codes, extended ones included, and truncation") {
    CHECK(mx_message(mx_packet().rcode(2))->rcode == 2);
    CHECK(mx_message(mx_packet().rcode(2))->answer.status == DnsStatus::temporary);
    // BADVERS: 16, of which the header shows 0.
    const auto badvers = mx_message(mx_packet().opt(1u << 24));
    CHECK(badvers->rcode == 16);
    CHECK(badvers->answer.status == DnsStatus::temporary);
    const auto cut = mx_message(mx_packet().mx(1, "a.test").flags(0x200));
    CHECK(cut->truncated);
    CHECK(cut->answer.records.empty());
    CHECK_FALSE(mx_message(mx_packet().mx(1, "a.test").soa(1, 1).tail("x").count_answers(2)));
}

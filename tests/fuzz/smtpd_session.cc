// Whole SMTP sessions over a socket pair, with scripted authd, queued and dnsd (tests/unit/smtpd).
// The first byte says through which door the client comes and how its bytes are cut.
#include "common/base/check.h"
#include "common/net/stream.h"
#include "tests/unit/smtpd/world.h"

#include <algorithm>

using namespace tambo;
using namespace tambo::smtpd;
using namespace tambo::smtpd::test;

namespace {

World& world_of(Role role) {
    static World* const worlds[] = {new World(Role::mx), new World(Role::submission)};
    return *worlds[role == Role::mx ? 0 : 1];
}

task<> talk(World& world, UniqueFd socket, std::string_view input, size_t step, std::string& said) {
    net::Stream client(world.nursery, std::move(socket), 5000);
    try {
        for (size_t at = 0; at < input.size(); at += step) {
            client.put(input.substr(at, step));
            co_await client.flush();
            if (step < 64) co_await sleep_ms(world.nursery, 0);
        }
    } catch (const Closed&) {
        said.clear(); // the server has had enough; what it said is read below
    }
    client.finish();
    try {
        for (;;) {
            auto bytes = co_await client.read_some(65536);
            said += bytes;
        }
    } catch (const Closed&) {
        co_return;
    }
}

// RFC 5321 4.2: nothing but replies is ever said.
void check_replies(std::string_view said) {
    while (!said.empty()) {
        if (said[0] == '\x15') return; // a TLS alert behind STARTTLS
        const auto end = said.find("\r\n");
        check(end != std::string_view::npos && end >= 3 && end <= 510, "a line is a reply line");
        const auto line = said.substr(0, end);
        check(parse_uint(line.substr(0, 3)).has_value(), "a reply has a code");
        check(
            std::none_of(line.begin(), line.end(), [](char c) { return is_ctl(c) || is_8bit(c); }),
            "a reply is printable");
        said.remove_prefix(end + 2);
    }
}

void check_stored(const Stored& message, Door door) {
    check(door != Door::submission, "nothing is taken without TLS and login");
    const std::string& body = message.body;
    check(body.find('\0') == std::string::npos, "NUL in a body");
    for (size_t i = 0; i < body.size(); ++i) {
        if (body[i] == '\n') check(i > 0 && body[i - 1] == '\r', "bare LF in a body");
        if (body[i] == '\r') check(i + 1 < body.size() && body[i + 1] == '\n', "bare CR");
    }
    check(!message.recipients.empty(), "a message has recipients");
    for (const auto& text : message.recipients) {
        const auto address = smtp::parse_address(text);
        check(address.ok(), "a recipient is an address");
        const bool ours = address->is_bare_postmaster() || address->domain_key == "local.test" ||
                          address->domain_key == "mx.example";
        check(ours || door == Door::local, "strangers do not relay");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    constexpr Door kDoors[] = {Door::smtp, Door::smtp, Door::submission, Door::local};
    const Door door = kDoors[data[0] % 4];
    const size_t step = data[0] / 4 % 8 == 0 ? data[0] / 32u + 1 : 4096;
    World& world = world_of(door == Door::smtp ? Role::mx : Role::submission);
    world.fake_queued.stored.clear();
    std::string said;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    UniqueFd socket = world.connect(door, door == Door::local ? "" : "127.0.0.1");
    world.run(talk(world, std::move(socket), input, step, said));
    check_replies(said);
    for (const Stored& message : world.fake_queued.stored)
        check_stored(message, door);
    return 0;
}

// Whole SMTP sessions over a socket pair, with scripted authd, queued and dnsd (tests/unit/smtpd).
// The first byte says through which door the client comes, or as a stranger whose address is
// counted and looked up, how its bytes are cut, and what goes wrong behind the session.
#include "tests/fuzz/smtp_client.h"

using namespace tambo;
using namespace tambo::smtpd;
using namespace tambo::smtpd::test;

namespace {

// Messages are small in it: inputs are, too.
World* small_world(Role role) {
    auto* const world = new World(role);
    world->service.config.message_size_max = 3000;
    world->service.config.recipients_max = 5;
    return world;
}

World& world_of(Role role) {
    static World* const worlds[] = {small_world(Role::mx), small_world(Role::submission)};
    return *worlds[role == Role::mx ? 0 : 1];
}

void check_stored(const Stored& message, Door door) {
    const bool login = message.envelope.token == "token-of-alice";
    check(door == Door::smtp || login, "nothing is taken without a login");
    if (door == Door::submission)
        check(message.envelope.prefix.find("TLSv1.") != std::string::npos, "no login without TLS");
    check_body(message);
    for (const auto& text : message.recipients) {
        const auto address = smtp::parse_address(text);
        const bool ours = address->is_bare_postmaster() || address->domain_key == "local.test" ||
                          address->domain_key == "mx.example";
        check(ours || login, "strangers do not relay");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    constexpr Door kDoors[] = {Door::smtp, Door::smtp, Door::submission, Door::local};
    const Door door = kDoors[data[0] % 4];
    const size_t step = data[0] / 4 % 8 == 0 ? data[0] / 32u + 1 : 4096;
    World& world = world_of(door == Door::smtp ? Role::mx : Role::submission);
    // Otherwise these bits say nothing: what goes wrong behind the session.
    const unsigned trouble = data[0] / 4 % 8;
    world.fake_queued.stored.clear();
    world.fake_authd.admit = trouble != 2;
    world.fake_authd.throttled = trouble == 3;
    world.fake_queued.disk_full = trouble == 4;
    world.fake_queued.broken_disk = trouble == 5;
    world.fake_queued.refuse_commit = trouble == 6;
    std::string said;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    const bool stranger = data[0] % 4 == 1;
    const char* const address = stranger ? "192.0.2.7" : "127.0.0.1";
    UniqueFd socket = world.connect(door, door == Door::local ? "" : address);
    world.run(talk(world, std::move(socket), door, input, step, said));
    check_replies(said);
    for (const Stored& message : world.fake_queued.stored)
        check_stored(message, door);
    return 0;
}

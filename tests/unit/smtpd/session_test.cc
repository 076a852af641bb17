// What a transcript cannot say: time, load, peers that die.
#include "common/net/stream.h"
#include "smtpd/drop.h"
#include "smtpd/session.h"
#include "tests/unit/smtpd/world.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

using namespace tambo;
using namespace tambo::smtpd;
using namespace tambo::smtpd::test;

namespace {

// Everything the server says until it has said `last`, closes, or for_ms have passed.
task<> listen(net::Stream& client, std::string& heard, std::string last, int64_t for_ms) {
    client.set_deadline(Loop::monotonic_ms() + for_ms);
    try {
        while (last.empty() || heard.find(last) == std::string::npos) {
            auto bytes = co_await client.read_some(65536);
            heard += bytes;
        }
    } catch (const Closed&) {
        heard += "closed";
    } catch (const TimedOut&) {
        heard += "silent";
    }
}

task<> say(net::Stream& client, std::string text) {
    client.put(text);
    co_await client.flush();
}

struct Talk {
    World world;
    net::Stream client;

    explicit Talk(Role role = Role::mx, Door door = Door::smtp, int64_t command_ms = 60'000)
        : world(role), client(world.nursery, begin(command_ms, door), 20'000) {}
    UniqueFd begin(int64_t command_ms, Door door) {
        world.service.pace.command_ms = command_ms;
        return world.connect(door);
    }
    // Says it, and returns all that is heard until `last`, the end of the connection, or for a
    // while.
    std::string hear(std::string text, std::string last, int64_t for_ms = 20'000) {
        std::string heard;
        world.run(exchange(client, std::move(text), heard, std::move(last), for_ms));
        return heard;
    }
    bool gets(std::string text, const std::string& reply) {
        return hear(std::move(text), reply).find(reply) != std::string::npos;
    }
    static task<> exchange(net::Stream& client,
                           std::string text,
                           std::string& heard,
                           std::string last,
                           int64_t for_ms) {
        client.set_deadline(Loop::monotonic_ms() + for_ms);
        client.put(text);
        // A server that has closed breaks the write; what it said is still to be read.
        try {
            co_await client.flush();
        } catch (const Closed&) {
            heard += "broken;";
        }
        co_await listen(client, heard, std::move(last), for_ms);
    }
};

const std::string kHello = "220 mx.example ESMTP Tambo\r\n";
const std::string kEnvelope = "HELO x\r\n";

std::string transaction(std::string_view content) {
    return cat("MAIL FROM:<x@remote.test>\r\nRCPT TO:<a@local.test>\r\nDATA\r\n", content);
}

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

} // namespace

TEST_CASE("D10: ten megabytes without a line end cost one line and one reply") {
    Talk talk;
    talk.world.service.pace.linger_ms = 10'000;
    const auto heard = talk.hear(std::string(10u << 20, 'x'), "closed", 10'000);
    CHECK(has(heard, "500 5.5.2 line too long\r\n"));
    CHECK(heard.find("500") == heard.rfind("500"));
}

TEST_CASE("D11: a client that dribbles is sent away") {
    Talk talk(Role::submission, Door::local);
    talk.world.service.pace.data_grace_ms = 100;
    CHECK(talk.gets(kEnvelope, "250 mx.example\r\n"));
    const auto heard =
        talk.hear("MAIL FROM:<alice@local.test>\r\nRCPT TO:<a@local.test>\r\nDATA\r\nFrom: a",
                  "closed", 3000);
    CHECK(has(heard, "354 "));
    CHECK(has(heard, "421 4.4.2 timeout\r\nclosed"));
    CHECK(talk.world.fake_queued.stored.empty());
    CHECK(talk.world.fake_queued.discarded == 1);
}

TEST_CASE("a command that does not come ends the session") {
    Talk talk(Role::mx, Door::smtp, 50);
    CHECK(talk.gets("NOOP\r\n", "250 2.0.0 ok\r\n421 4.4.2 timeout\r\nclosed"));
}

TEST_CASE("a line that does not end ends the session") {
    Talk talk(Role::mx, Door::smtp, 50);
    CHECK(talk.gets("NOOP", "421 4.4.2 timeout\r\nclosed"));
}

TEST_CASE("D9: a client that does not read is not read from") {
    World world(Role::submission);
    world.service.pace.command_ms = 400;
    const UniqueFd socket = world.connect(Door::local, "", 1000, 4096);
    std::string flood = "EHLO x\r\nMAIL FROM:<alice@local.test>\r\n";
    for (int i = 0; i < 1000; ++i) {
        flood += cat("RCPT TO:<a+", i, std::string(150, 'x'), "@local.test>\r\n");
    }
    size_t taken = 0;
    const auto push = [&] {
        while (taken < flood.size()) {
            const ssize_t n = ::send(socket.get(), flood.data() + taken, flood.size() - taken,
                                     MSG_DONTWAIT | MSG_NOSIGNAL);
            if (n <= 0) return;
            taken += static_cast<size_t>(n);
        }
    };
    world.loop.every(5, push);
    world.nursery.spawn([](World& w) -> task<> {
        for (int i = 0; i < 100 && !w.service.sessions.empty(); ++i) {
            co_await sleep_ms(w.nursery, 50);
        }
        w.loop.stop();
    }(world));
    world.loop.run();
    CHECK(world.service.sessions.empty());
    CHECK(taken < flood.size());
}

TEST_CASE("D1: the header is bounded by lines and by bytes") {
    Talk talk(Role::submission, Door::local);
    talk.world.service.config.message_size_max = 4 << 20;
    CHECK(talk.gets(kEnvelope, "250 mx.example\r\n"));
    const std::string start = "MAIL FROM:<alice@local.test>\r\nRCPT TO:<a@local.test>\r\nDATA\r\n";
    std::string lines = start;
    for (int i = 0; i < 100'000; ++i)
        lines += "From: a@b\r\n";
    CHECK(talk.gets(lines + "\r\nx\r\n.\r\n", "552 5.3.4 header section too big\r\n"));
    std::string bytes = start + "X: " + std::string(2u << 20, 'x') + "\r\n\r\nx\r\n.\r\n";
    CHECK(talk.gets(bytes, "552 5.3.4 header section too big\r\n"));
    CHECK(talk.world.fake_queued.stored.empty());
}

TEST_CASE("a thousand recipients are a message, one more is not") {
    Talk talk;
    CHECK(talk.gets("EHLO x\r\n", "250 STARTTLS\r\n"));
    std::string group = "MAIL FROM:<x@remote.test>\r\n";
    for (int i = 0; i <= 1000; ++i) {
        group += cat("RCPT TO:<alice+",
                     i < 10     ? "000"
                     : i < 100  ? "00"
                     : i < 1000 ? "0"
                                : "",
                     i, "@local.test>\r\n");
    }
    auto heard = talk.hear(group, "452 4.5.3 too many recipients\r\n");
    CHECK(has(heard, "452 4.5.3 too many recipients\r\n"));
    size_t good = 0;
    for (size_t at = 0; (at = heard.find("250 2.1.5", at)) != std::string::npos; ++at)
        ++good;
    CHECK(good == 1000);
    heard = talk.hear("DATA\r\n", "354 ");
    CHECK(has(heard, "354 "));
    CHECK(talk.gets("From: x@remote.test\r\n\r\n.\r\n", "250 2.0.0 accepted"));
    REQUIRE(talk.world.fake_queued.stored.size() == 1);
    CHECK(talk.world.fake_queued.stored[0].recipients.size() == 1000);
    CHECK(talk.world.fake_queued.stored[0].recipients[999] == "alice+0999@local.test");
}

namespace {

// Whatever becomes of queued while the commit waits, the client gets the truth.
std::string commit_while_queued_dies(bool remembers) {
    Talk talk;
    World& world = talk.world;
    world.fake_queued.die_at_commit = true;
    world.fake_queued.remember = remembers;
    world.queued.on_lost = [&world] {
        world.loop.post([&world] { World::wire(world.queued, world.queued_end); });
    };
    CHECK(talk.gets("EHLO x\r\n", "250 STARTTLS\r\n"));
    CHECK(talk.gets(transaction(""), "354 "));
    auto heard = talk.hear("From: x@remote.test\r\n\r\n.\r\n", "\r\n");
    CHECK(world.fake_queued.asked == 1);
    CHECK(world.fake_queued.discarded == 0);
    return heard;
}

} // namespace

TEST_CASE("queued dies during the commit: its successor knows") {
    CHECK(has(commit_while_queued_dies(true), "250 2.0.0 accepted as "));
}

TEST_CASE("queued dies during the commit: its successor does not know") {
    CHECK(has(commit_while_queued_dies(false), "451 4.3.0 "));
}

TEST_CASE("queued is away when the message is complete") {
    Talk talk;
    CHECK(talk.gets("EHLO x\r\n", "250 STARTTLS\r\n"));
    CHECK(talk.gets(transaction(""), "354 "));
    talk.world.queued.drop("killed");
    talk.world.queued_end.drop("killed");
    CHECK(talk.gets("From: x@remote.test\r\n\r\n.\r\n", "451 4.3.0 "));
    World::wire(talk.world.queued, talk.world.queued_end);
    CHECK(talk.gets(transaction(""), "354 "));
    CHECK(talk.gets("From: x@remote.test\r\n\r\n.\r\n", "250 2.0.0 "));
}

TEST_CASE("a client that leaves in the middle of its message leaves nothing") {
    Talk talk;
    CHECK(talk.gets("EHLO x\r\n", "250 STARTTLS\r\n"));
    CHECK(talk.gets(transaction(""), "354 "));
    talk.client.put("From: x@remote.test\r\n\r\nhalf a mess");
    talk.client.finish();
    talk.world.run(say(talk.client, ""));
    talk.client.finish();
    talk.hear("", "closed", 1000);
    CHECK(talk.world.service.sessions.empty());
    CHECK(talk.world.fake_queued.stored.empty());
    CHECK(talk.world.fake_queued.discarded == 1);
}

TEST_CASE("connections beyond the limit are told so at once") {
    World world;
    world.service.config.sessions_max = 1;
    const UniqueFd first = world.connect(Door::smtp);
    net::Stream second(world.nursery, world.connect(Door::smtp), 2000);
    std::string heard;
    world.run(listen(second, heard, "", 2000));
    CHECK(heard == "421 4.7.0 too many connections\r\nclosed");
}

TEST_CASE("authd counts connections from other hosts, and only those") {
    World world;
    {
        const UniqueFd near = world.connect(Door::smtp, "127.0.0.1");
        net::Stream far(world.nursery, world.connect(Door::smtp, "192.0.2.7"), 2000);
        std::string heard;
        world.run(listen(far, heard, "", 100));
        CHECK(heard == kHello + "silent");
        CHECK(world.fake_authd.connections == 1);
    }
    net::Stream last(world.nursery, world.connect(Door::smtp), 2000);
    std::string heard;
    world.run(listen(last, heard, "", 100));
    CHECK(world.fake_authd.connections == 0);
}

TEST_CASE("a draining process spares who has just come and who is in the middle of a message") {
    Talk talk;
    World& world = talk.world;
    CHECK(talk.gets("EHLO x\r\n", "250 STARTTLS\r\n"));
    bool drained = false;
    world.server.drain(5000, [&] { drained = true; });
    CHECK(talk.gets("NOOP\r\n", "250 "));
    CHECK(talk.gets("MAIL FROM:<x@remote.test>\r\n", "250 "));
    world.service.pace.newcomer_ms = 0; // no newcomer any more, but in the middle
    CHECK(talk.gets("NOOP\r\n", "250 "));
    CHECK(talk.gets("RSET\r\n", "421 4.3.2 "));
    CHECK_FALSE(drained);
}

TEST_CASE("a client that was long about its login is a newcomer behind it") {
    Talk talk(Role::submission, Door::submission);
    World& world = talk.world;
    world.service.pace.newcomer_ms = 300;
    CHECK(talk.gets("EHLO x\r\n", "250 STARTTLS\r\n"));
    world.run([](World& w) -> task<> { co_await sleep_ms(w.nursery, 400); }(world));
    CHECK(talk.gets("STARTTLS\r\n", "220 "));
    world.run([](net::Stream& client) -> task<> {
        const TlsContext context = client_tls();
        const TlsPeer peer{"mx.example", {}};
        co_await client.start_tls_client(context, peer);
    }(talk.client));
    CHECK(talk.gets("EHLO x\r\n", "250 AUTH"));
    world.run([](World& w) -> task<> { co_await sleep_ms(w.nursery, 400); }(world));
    CHECK(talk.gets("AUTH PLAIN AGFsaWNlQGxvY2FsLnRlc3QAc2VjcmV0\r\n", "235 "));
    world.server.drain(5000, [] {});
    CHECK(talk.gets("MAIL FROM:<alice@local.test>\r\n", "250 "));
}

TEST_CASE("at the end of a drain everybody is told to come again") {
    Talk talk;
    World& world = talk.world;
    CHECK(talk.gets("EHLO x\r\n", "250 STARTTLS\r\n"));
    CHECK(talk.gets("MAIL FROM:<x@remote.test>\r\n", "250 "));
    world.service.pace.farewell_ms = 1000;
    bool drained = false;
    world.server.drain(1000, [&] { drained = true; });
    CHECK(talk.gets("", "421 4.3.2 "));
    CHECK_FALSE(drained);
}

TEST_CASE("a draining process ends idle sessions and lets a message finish") {
    Talk talk;
    World& world = talk.world;
    world.service.pace.newcomer_ms = 0;
    CHECK(talk.gets("EHLO x\r\n", "250 STARTTLS\r\n"));
    CHECK(talk.gets(transaction(""), "354 "));
    net::Stream idle(world.nursery, world.connect(Door::smtp), 2000);
    std::string heard;
    world.run(listen(idle, heard, "", 100));
    bool drained = false;
    world.server.drain(5000, [&] { drained = true; });
    heard.clear();
    world.run(listen(idle, heard, "", 1000));
    CHECK(heard == "421 4.3.2 service shutting down\r\nclosed");
    CHECK_FALSE(drained);
    heard = talk.hear("From: x@remote.test\r\n\r\n.\r\n", "closed", 2000);
    CHECK(has(heard, "250 2.0.0 accepted as "));
    CHECK(has(heard, "421 4.3.2 service shutting down\r\nclosed"));
    CHECK(world.fake_queued.stored.size() == 1);
    talk.client.finish();
    world.run([](World& w) -> task<> { co_await sleep_ms(w.nursery, 600); }(world));
    CHECK(drained);
}

namespace {

ipc::LocalArrival dropped(std::string_view script, uint32_t uid = 0) {
    UniqueFd file(::memfd_create("drop", MFD_CLOEXEC));
    write_all(file.get(), script, "drop");
    auto message = local_user(uid);
    message.descriptor = std::move(file);
    message.drop_name = "0123";
    return message;
}

ipc::DropOutcome play(World& world, ipc::LocalArrival message) {
    auto outcome = ipc::DropOutcome::not_now;
    world.run([](World& w, ipc::LocalArrival m, ipc::DropOutcome& out) -> task<> {
        out = co_await play_drop(w.server, std::move(m));
    }(world, std::move(message), outcome));
    return outcome;
}

const std::string kDropHead = "EHLO localhost\r\nMAIL FROM:<root>\r\n";
const std::string kDropMessage =
    "DATA\r\nFrom: root\r\n\r\n..\r\nMAIL FROM:<evil@x>\r\n.\r\nQUIT\r\n";

} // namespace

TEST_CASE("a dropped message is submitted by the owner of its file") {
    World world(Role::submission);
    const auto& stored = world.fake_queued.stored;
    CHECK(play(world, dropped(kDropHead + "RCPT TO:<root>\r\n" + kDropMessage)) ==
          ipc::DropOutcome::taken);
    REQUIRE(stored.size() == 1);
    CHECK(stored[0].envelope.token == "token-of-root");
    CHECK(stored[0].recipients == std::vector<std::string>{"root@mx.example"});
    CHECK(stored[0].body == "From: root\r\n\r\n.\r\nMAIL FROM:<evil@x>\r\n");
    // No message at all: set aside, and nothing of its text becomes a command.
    for (const std::string& bad :
         {kDropHead + "RCPT TO:<root>\r\nDATA\r\nFrom: root\r\n\r\nno end", std::string(),
          std::string(100'000, 'x'), std::string("nonsense\r\n"), kDropHead}) {
        CHECK(play(world, dropped(bad)) == ipc::DropOutcome::refused);
    }
    // Put off: it stays.
    const auto full = kDropHead + "RCPT TO:<root>\r\nRCPT TO:<full@local.test>\r\n";
    CHECK(play(world, dropped(full + kDropMessage)) == ipc::DropOutcome::not_now);
    world.fake_queued.disk_full = true;
    CHECK(play(world, dropped(kDropHead + "RCPT TO:<root>\r\n" + kDropMessage)) ==
          ipc::DropOutcome::not_now);
    CHECK(stored.size() == 1);
}

TEST_CASE("a dropped message that is refused goes back to its owner") {
    World world(Role::submission);
    const auto& stored = world.fake_queued.stored;
    const std::string nobody = "RCPT TO:<nobody@local.test>\r\n";
    // One of two recipients: the other has it, the owner is told.
    CHECK(play(world, dropped(kDropHead + "RCPT TO:<root>\r\n" + nobody + kDropMessage)) ==
          ipc::DropOutcome::taken);
    REQUIRE(stored.size() == 2);
    CHECK(stored[0].recipients == std::vector<std::string>{"root@mx.example"});
    CHECK(stored[1].envelope.reverse_path == "");
    CHECK(stored[1].recipients == std::vector<std::string>{"root@mx.example"});
    CHECK(stored[1].body.find("nobody@local.test") != std::string::npos);
    CHECK(stored[1].body.find("550 5.1.1 no such user here") != std::string::npos);
    CHECK(stored[1].body.find("The other recipients get it.") != std::string::npos);
    // All of them, or the sender: the message is in the report.
    CHECK(play(world, dropped(kDropHead + nobody + kDropMessage)) == ipc::DropOutcome::taken);
    REQUIRE(stored.size() == 3);
    CHECK(stored[2].body.find("MAIL FROM:<evil@x>") != std::string::npos);
    CHECK(stored[2].body.find("Nobody gets it.") != std::string::npos);
    const std::string other = "EHLO x\r\nMAIL FROM:<bob@local.test>\r\nRCPT TO:<a@local.test>\r\n";
    CHECK(play(world, dropped(other + kDropMessage, 1000)) == ipc::DropOutcome::taken);
    REQUIRE(stored.size() == 4);
    CHECK(stored[3].recipients == std::vector<std::string>{"alice@local.test"});
    CHECK(stored[3].body.find("553 5.7.1 not your address") != std::string::npos);
    CHECK(stored[3].body.find("<a@local.test>") != std::string::npos);
    // An owner without mail: the postmaster.
    auto ghost = dropped(kDropHead + nobody + kDropMessage);
    ghost.address = "ghost@local.test";
    CHECK(play(world, std::move(ghost)) == ipc::DropOutcome::taken);
    REQUIRE(stored.size() == 5);
    CHECK(stored[4].recipients.size() == 1);
    CHECK(stored[4].recipients[0].starts_with("postmaster"));
    // Too large to be returned: it is set aside as well.
    const std::string large = "DATA\r\nFrom: root\r\n\r\n" + [] {
        std::string lines;
        for (int i = 0; i < 1000; ++i) lines += std::string(70, 'x') + "\r\n";
        return lines;
    }() + ".\r\nQUIT\r\n";
    CHECK(play(world, dropped(kDropHead + nobody + large)) == ipc::DropOutcome::refused);
    REQUIRE(stored.size() == 6);
    CHECK(stored[5].body.find("drop-refused/") != std::string::npos);
    CHECK(stored[5].body.size() < 10'000);
    // It cannot be said now: it stays.
    world.fake_queued.disk_full = true;
    CHECK(play(world, dropped(kDropHead + nobody + kDropMessage)) == ipc::DropOutcome::not_now);
}

TEST_CASE("a dropped message that is offered again is taken once") {
    World world(Role::submission);
    std::vector<ipc::DropOutcome> told;
    Drops drops(world.server, [&](const std::string& name, ipc::DropOutcome outcome) {
        CHECK(name == "0123");
        told.push_back(outcome);
    });
    const std::string script = kDropHead + "RCPT TO:<root>\r\n" + kDropMessage;
    drops.take(dropped(script));
    drops.take(dropped(script)); // authd has died meanwhile
    world.run([](World& w, std::vector<ipc::DropOutcome>& t) -> task<> {
        while (t.empty()) co_await sleep_ms(w.nursery, 5);
    }(world, told));
    drops.take(dropped(script));
    CHECK(told == std::vector<ipc::DropOutcome>(2, ipc::DropOutcome::taken));
    CHECK(world.fake_queued.stored.size() == 1);
}

TEST_CASE("role and doors come from master") {
    CHECK(role_of("mx.0") == Role::mx);
    CHECK(role_of("submit.0") == Role::submission);
    World world(Role::mx);
    CHECK_FALSE(world.server.listen("submission", UniqueFd()));
    CHECK_FALSE(world.server.listen("submit", UniqueFd()));
    CHECK_FALSE(world.server.listen("imap", UniqueFd()));
    World users(Role::submission);
    CHECK_FALSE(users.server.listen("smtp", UniqueFd()));
    CHECK_FALSE(users.server.listen("submit", UniqueFd())); // that door is authd's
}

// Deliveries and what becomes of them, with fake neighbours and a clock that is moved ahead.
#include "tests/unit/queued/life.h"

#include "common/mime/header.h"
#include "common/mime/structure.h"

#include <algorithm>
#include <map>

using namespace tambo;
using namespace tambo::test;

namespace {

constexpr int64_t kMinute = 60'000, kHour = 60 * kMinute, kDay = 24 * kHour;

ipc::RelayResult verdict(ipc::RelayOutcome outcome, ipc::ReplyText status, bool from_peer) {
    ipc::RelayResult result;
    result.outcome = outcome;
    result.status = std::move(status);
    result.from_peer = from_peer;
    return result;
}

ipc::RelayResult deferred_by_peer(const std::string&) {
    return verdict(ipc::RelayOutcome::deferred, {451, "4.3.2", "busy"}, true);
}

ipc::RelayResult refused_by_peer(const std::string&) {
    return verdict(ipc::RelayOutcome::refused, {550, "5.1.1", "who?"}, true);
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("an account learns since when the queue's oldest message is there") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = deferred_by_peer;
    const auto first = life.send(message_to({"c@away.test"}));
    life.running.until([&] { return life.relayd.got.size() == 1; });
    const auto accepted = life.db().find(first.qid)->accepted;
    life.pass(5 * kMinute);
    life.send(message_to({"bob@home.test"}));
    life.running.until([&] { return life.deliverd.answered == 1; });
    CHECK(life.deliverd.got[0].facts.queued_since == accepted);
    CHECK(life.deliverd.got[0].facts.accepted.ms > accepted.ms);
}

TEST_CASE("nothing is removed before a barrier that began after the delivery") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.deliverd.silent = true;
    const auto outcome = life.send({});
    REQUIRE(outcome.commit.code == 250);
    life.running.until([&] { return life.deliverd.got.size() == 1; });
    spool.disk.hold();
    life.deliverd.silent = false;
    life.running.until([&] { return life.deliverd.answered == 1; });
    life.pass(10'000); // the lazy barriers are due now
    life.running.until([&] { return spool.disk.begun > spool.disk.filesystem; });
    life.running.run_for(30);
    CHECK(life.body_exists(outcome.qid));
    CHECK(life.db().holds(outcome.qid));
    const int barriers = spool.disk.filesystem;
    spool.disk.release();
    life.until_empty();
    CHECK(spool.disk.filesystem >= barriers + 2); // of the delivery, and of its row
}

TEST_CASE("under load deliveries cost no barriers of their own") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    const int before = spool.disk.filesystem;
    for (int i = 0; i < 50; ++i)
        REQUIRE(life.send({}).commit.code == 250);
    CHECK(spool.disk.filesystem - before <= 51);
    life.until_empty();
    CHECK(life.deliverd.answered == 50);
}

TEST_CASE("each target of each recipient is delivered under its own key") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    ipc::ResolvedRecipient team;
    team.targets = {local_target(1, "alice@home.test"), local_target(2, "bob@home.test"),
                    remote_target("carol@away.test")};
    team.targets[0].detail = "lists";
    life.authd.special["team@home.test"] = team;
    life.send(message_to({"bob@home.test", "team@home.test"}));
    life.until_empty();
    REQUIRE(life.deliverd.got.size() == 3);
    std::vector<std::pair<uint32_t, uint32_t>> keys;
    for (const auto& d : life.deliverd.got)
        keys.emplace_back(d.facts.rcpt_no, d.facts.action_no);
    std::sort(keys.begin(), keys.end());
    CHECK(keys == std::vector<std::pair<uint32_t, uint32_t>>{{0, 0}, {1, 0}, {1, 1}});
    for (const auto& d : life.deliverd.got) {
        if (d.facts.rcpt_no != 1 || d.facts.action_no != 0) continue;
        CHECK(d.facts.detail == "lists");
        CHECK(contains(d.facts.prefix, "Delivered-To: alice@home.test\r\nX-Original-To: team@"));
    }
    REQUIRE(life.relayd.got.size() == 1);
    CHECK(life.relayd.got[0].destination == "away.test");
    CHECK_FALSE(contains(life.relayd.got[0].prefix, "Delivered-To"));
    CHECK_FALSE(contains(life.relayd.got[0].prefix, "Return-Path"));
}

TEST_CASE("destinations are domains in their canonical form, each with its own transaction") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.send(message_to({"a@AWAY.test", "b@away.TEST", "c@xn--bcher-kva.test", "d@bücher.test",
                          "e@[192.0.2.1]"}),
              true);
    life.until_empty();
    std::map<std::string, size_t> recipients;
    for (const auto& relay : life.relayd.got)
        recipients[relay.destination] += relay.recipients.size();
    CHECK(recipients == std::map<std::string, size_t>{
                            {"away.test", 2}, {"xn--bcher-kva.test", 2}, {"[192.0.2.1]", 1}});
}

TEST_CASE("a deferred recipient is tried again by the schedule, the others are done") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = [](const std::string& address) {
        if (address.starts_with("slow")) return deferred_by_peer(address);
        return verdict(ipc::RelayOutcome::sent, {250, "2.0.0", "ok"}, true);
    };
    const auto outcome = life.send(message_to({"fast@away.test", "slow@away.test"}), true);
    life.running.until([&] {
        const auto e = life.db().find(outcome.qid);
        const auto rows = life.db().recipients(e->seq);
        return rows.size() == 1 && rows[0].second.attempts == 1;
    });
    const auto row = life.db().recipients(life.db().find(outcome.qid)->seq)[0].second;
    CHECK(row.original == "slow@away.test");
    CHECK(row.status.text == "busy");
    CHECK(row.status.host == "mx.remote.test");
    const int64_t wait = row.next_attempt.ms - life.clock.now().ms;
    CHECK(wait > 50'000);
    CHECK(wait <= 66'000);
    life.pass(40'000);
    life.running.run_for(30);
    CHECK(life.relayd.got.size() == 1);
    life.pass(30'000);
    life.running.until([&] { return life.relayd.got.size() == 2; });
    CHECK(life.relayd.got[1].attempt == 2);
    REQUIRE(life.relayd.got[1].recipients.size() == 1);
    life.relayd.judge = FakeRelayd().judge;
    life.pass(kHour);
    life.until_empty();
}

TEST_CASE("a refused recipient is returned to the sender in one report") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = [](const std::string& address) {
        if (address.starts_with("bad")) return refused_by_peer(address);
        return verdict(ipc::RelayOutcome::sent, {250, "2.0.0", "ok"}, true);
    };
    Message m = message_to({"bad1@away.test", "good@away.test", "bad2@away.test"});
    m.from = "alice@home.test";
    life.send(m, true);
    life.until_empty();
    REQUIRE(life.deliverd.got.size() == 1);
    const auto& facts = life.deliverd.got[0].facts;
    CHECK(facts.recipient == "alice@home.test");
    CHECK(facts.reverse_path.empty());
    CHECK(facts.prefix.starts_with("Return-Path: <>\r\n"));
    const std::string& body = life.deliverd.bodies[0];
    CHECK(contains(body, "Auto-Submitted: auto-replied\r\n"));
    CHECK(contains(body, "multipart/report; report-type=delivery-status"));
    CHECK(contains(body,
                   "Final-Recipient: rfc822; bad1@away.test\r\nAction: failed\r\nStatus: 5.1.1"));
    CHECK(contains(body, "Final-Recipient: rfc822; bad2@away.test\r\n"));
    CHECK_FALSE(contains(body, "good@away.test"));
    CHECK(contains(body, "Diagnostic-Code: smtp; 550 5.1.1 who?"));
    CHECK(contains(body, "mx.remote.test said: 550 5.1.1 who?"));
    CHECK(contains(body, "Received: from away.test by mx.home.test\r\nSubject: hello"));
    CHECK(contains(body, "References: <m1@away.test>"));
}

TEST_CASE("the target of an alias is not told to strangers") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    ipc::ResolvedRecipient forward;
    forward.targets = {remote_target("secret@private.test")};
    life.authd.special["info@home.test"] = forward;
    life.relayd.judge = [](const std::string& address) {
        if (address != "secret@private.test") return FakeRelayd().judge(address);
        return verdict(ipc::RelayOutcome::refused,
                       {550, "5.1.1", "<SECRET@private.test> is unknown"}, true);
    };
    life.send(message_to({"info@home.test"}));
    life.until_empty();
    REQUIRE(life.relayd.bodies.size() == 2);
    CHECK_FALSE(contains(to_lower(life.relayd.bodies[1]), "secret@private.test"));
    CHECK(contains(life.relayd.bodies[1], "<info@home.test> is unknown"));
}

TEST_CASE("a local refusal bounces, a local deferral waits") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.deliverd.answer.outcome = ipc::DeliveryOutcome::deferred;
    life.deliverd.answer.status = {452, "4.2.2", "mailbox full"};
    life.send({});
    life.running.until([&] { return life.db().count(life.clock.now()).deferred == 1; });
    CHECK(life.relayd.got.empty());
    life.deliverd.answer.outcome = ipc::DeliveryOutcome::refused;
    life.deliverd.answer.status = {550, "5.2.1", "mailbox disabled"};
    life.pass(2 * kMinute);
    life.until_empty();
    REQUIRE(life.relayd.got.size() == 1);
    CHECK(contains(life.relayd.bodies[0], "Status: 5.2.1"));
    CHECK(contains(life.relayd.bodies[0], "mailbox disabled"));
}

TEST_CASE("mail to a destination that stays away is returned when its life is over") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = deferred_by_peer;
    Message m = message_to({"carol@away.test"});
    m.from = "alice@home.test";
    life.send(m, true);
    size_t notices = 0;
    for (int hours = 0; hours < 130 && !life.empty(); hours += 2) {
        life.pass(2 * kHour);
        life.running.run_for(20);
        if (hours < 110) {
            CHECK_FALSE(life.empty());
            notices = life.deliverd.got.size();
        }
    }
    life.until_empty();
    CHECK(notices == 1);
    REQUIRE(life.deliverd.got.size() == 2);
    CHECK(contains(life.deliverd.bodies[0], "Subject: Your message is delayed"));
    CHECK(contains(life.deliverd.bodies[0], "Action: delayed"));
    CHECK(contains(life.deliverd.bodies[0], "Will-Retry-Until: "));
    CHECK_FALSE(contains(life.deliverd.bodies[0], "Hello Bob."));
    CHECK(contains(life.deliverd.bodies[1], "Action: failed\r\nStatus: 4.4.7"));
    CHECK(contains(life.deliverd.bodies[1], "Hello Bob."));
    CHECK(life.relayd.got.size() >= 10);
}

TEST_CASE("strangers get no delay notice") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.deliverd.answer.outcome = ipc::DeliveryOutcome::deferred;
    life.deliverd.answer.status = {452, "4.2.2", "mailbox full"};
    life.send({});
    for (int i = 0; i < 4; ++i) {
        life.pass(3 * kHour);
        life.running.run_for(30);
    }
    CHECK(life.deliverd.got.size() >= 4);
    CHECK(life.relayd.got.empty());
}

TEST_CASE("a report that cannot be delivered goes to the postmaster once") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = refused_by_peer; // the recipient first, then the sender
    life.send(message_to({"carol@other.test"}), true);
    life.until_empty();
    CHECK(life.relayd.got.size() == 2);
    REQUIRE(life.deliverd.got.size() == 1);
    CHECK(life.deliverd.got[0].facts.account == Id{1, 1});
    CHECK(contains(life.deliverd.bodies[0], "Subject: A report could not be returned"));
    CHECK(contains(life.deliverd.bodies[0], "To: postmaster@mx.home.test"));
}

TEST_CASE("when the postmaster refuses too it ends") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = refused_by_peer;
    life.deliverd.answer.outcome = ipc::DeliveryOutcome::refused;
    life.deliverd.answer.status = {550, "5.2.1", "no"};
    life.send(message_to({"carol@other.test"}), true);
    life.until_empty();
    CHECK(life.deliverd.got.size() == 1);
}

TEST_CASE("a null sender is never told anything") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = refused_by_peer;
    Message m = message_to({"carol@other.test"});
    m.from = "";
    life.send(m, true);
    life.until_empty();
    CHECK(life.relayd.got.size() == 1);
    CHECK(life.deliverd.got.empty());
}

TEST_CASE("a sender of ours that does not exist: the postmaster gets the report") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = refused_by_peer;
    Message m = message_to({"carol@other.test"});
    m.from = "nobody@home.test";
    life.send(m, true);
    life.until_empty();
    CHECK(life.relayd.got.size() == 1);
    REQUIRE(life.deliverd.got.size() == 1);
    CHECK(life.deliverd.got[0].facts.recipient == "postmaster@mx.home.test");
}

TEST_CASE("a relayd that dies in a transaction: its recipients are deferred") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.silent = true;
    life.send(message_to({"carol@away.test"}), true);
    life.running.until([&] { return life.relayd.got.size() == 1; });
    life.relayd_side.drop("killed");
    life.running.until([&] { return life.db().count(life.clock.now()).deferred == 1; });
    CHECK(life.server.dispatcher().schedule().running() == 0);
    life.relayd.silent = false;
    life.pass(2 * kMinute); // without a relayd it waits in memory
    life.running.run_for(20);
    CHECK(life.relayd.got.size() == 1);
    Life::connect(life.relay, life.relayd_side);
    life.until_empty();
    CHECK(life.relayd.got.size() == 2);
}

TEST_CASE("a deliverd that dies gets the delivery again from the same place") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.deliverd.silent = true;
    life.send({});
    life.running.until([&] { return life.deliverd.got.size() == 1; });
    life.deliverd_side.drop("killed");
    life.running.run_for(10);
    life.deliverd.silent = false;
    Life::connect(life.server.deliverd(), life.deliverd_side);
    life.until_empty();
    CHECK(life.deliverd.got.size() == 2);
    CHECK(life.deliverd.got[1].facts.rcpt_no == life.deliverd.got[0].facts.rcpt_no);
}

TEST_CASE("an unreachable destination rests with all its mail and comes back by itself") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = [](const std::string&) {
        return verdict(ipc::RelayOutcome::deferred, {451, "4.4.1", "connection timed out"}, false);
    };
    for (int i = 0; i < 12; ++i)
        life.send(message_to({"carol@dead.test"}), true);
    life.running.until([&] { return life.db().count(life.clock.now()).deferred == 12; });
    const size_t tried = life.relayd.got.size();
    CHECK(tried < 12);
    CHECK(life.server.dispatcher().schedule().suspended(life.clock.monotonic_ms()) == 1);
    life.relayd.judge = FakeRelayd().judge;
    life.pass(20 * kMinute);
    life.until_empty();
    CHECK(life.relayd.got.size() == tried + 12);
}

TEST_CASE("a lost body is kept for the administrator and never due again") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = deferred_by_peer;
    const auto outcome = life.send(message_to({"carol@away.test"}), true);
    life.running.until([&] { return life.db().count(life.clock.now()).deferred == 1; });
    std::filesystem::remove(life.spool + "/bodies/" + spool::body_path(outcome.qid));
    life.pass(2 * kMinute);
    life.running.until([&] { return life.db().count(UtcTime{0}).lost == 1; });
    life.pass(10 * kDay);
    life.running.run_for(20);
    CHECK(life.relayd.got.size() == 1);
    CHECK(life.db().holds(outcome.qid));
}

TEST_CASE("a body that cannot be opened for a while is tried again, and its errand ends") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = deferred_by_peer;
    const auto outcome = life.send(message_to({"carol@away.test"}), true);
    life.running.until([&] { return life.db().count(life.clock.now()).deferred == 1; });
    life.relayd.judge = FakeRelayd().judge;
    const std::string body = life.spool + "/bodies/" + spool::body_path(outcome.qid);
    std::filesystem::rename(body, spool.scratch / "body");
    std::filesystem::create_symlink("elsewhere", body); // ELOOP, as EMFILE or EIO might be
    life.pass(2 * kMinute);
    life.running.until([&] {
        const auto rows = life.db().recipients(life.db().find(outcome.qid)->seq);
        return rows[0].second.attempts == 2;
    });
    CHECK(life.server.dispatcher().schedule().running() == 0);
    CHECK(life.db().count(UtcTime{0}).lost == 0);
    std::filesystem::rename(spool.scratch / "body", body);
    life.pass(60 * kMinute);
    life.until_empty();
    CHECK(life.relayd.got.size() == 2);
}

TEST_CASE("a clock that jumps a year ahead and back loses and returns nothing") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.relayd.judge = deferred_by_peer;
    const auto outcome = life.send(message_to({"carol@away.test"}), true);
    life.running.until([&] { return life.db().count(life.clock.now()).deferred == 1; });
    spool.clock.wall_jump_ms = 400 * kDay;
    life.pass(2 * kMinute);
    life.running.until([&] { return life.relayd.got.size() >= 2; });
    life.running.run_for(20);
    CHECK(life.db().holds(outcome.qid));
    spool.clock.wall_jump_ms = 0;
    life.pass(kMinute);
    life.running.run_for(20);
    const auto next = life.db().next_due({});
    REQUIRE(next);
    CHECK(next->ms <= life.clock.now().ms + 4'000'000);
    life.relayd.judge = FakeRelayd().judge;
    life.pass(2 * kHour);
    life.until_empty();
}

TEST_CASE("a drain lets what runs end and leaves a clean mark") {
    Spool spool;
    {
        Life life(spool.path, spool.disk, spool.clock);
        life.deliverd.silent = true;
        life.send({});
        life.running.until([&] { return life.deliverd.got.size() == 1; });
        bool drained = false;
        life.server.on_drained = [&] { drained = true; };
        life.server.drain(5000);
        CHECK(life.send({}).open.code == 451);
        life.running.run_for(20);
        CHECK_FALSE(drained);
        life.deliverd.silent = false;
        life.running.until([&] { return drained; });
        CHECK(life.empty());
        CHECK(life.db().number("clean") == 1);
    }
    Life life(spool.path, spool.disk, spool.clock);
    CHECK(life.db().number("clean") == 0);
    life.deliverd.silent = true;
    life.send({});
    life.running.until([&] { return life.deliverd.got.size() == 1; });
    bool drained = false;
    life.server.on_drained = [&] { drained = true; };
    life.server.drain(30); // deliverd hangs: the grace ends
    life.running.until([&] { return drained; });
    CHECK(life.db().count(UtcTime{0}).messages == 1);
}

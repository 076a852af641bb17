#include "tests/unit/queued/life.h"

using namespace tambo;
using namespace tambo::test;

TEST_CASE("a message is accepted after a barrier, delivered, and leaves nothing behind") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    const auto outcome = life.send({});
    CHECK(outcome.commit.code == 250);
    CHECK(outcome.commit.text == "accepted as " + outcome.qid.text());
    CHECK(spool.disk.filesystem >= 2); // the first one is recovery's
    life.running.until([&] { return life.deliverd.answered == 1; });
    const auto& facts = life.deliverd.got[0].facts;
    CHECK(facts.qid == outcome.qid);
    CHECK(facts.account == Id{1, 2});
    CHECK(facts.reverse_path == "sender@away.test");
    CHECK(facts.prefix == "Return-Path: <sender@away.test>\r\nDelivered-To: bob@home.test\r\n"
                          "Received: from away.test by mx.home.test\r\n");
    CHECK(facts.body_bytes == life.deliverd.bodies[0].size());
    CHECK(facts.body_crc32c == crc32c(0, life.deliverd.bodies[0]));
    CHECK(life.deliverd.bodies[0].ends_with("Hello Bob.\r\n"));
    life.until_empty();
    CHECK(life.asked(outcome.qid));
}

TEST_CASE("the class of the channel and the token decide, not what smtpd says") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.send({});
    life.send({}, true);
    REQUIRE(life.authd.asked.size() == 2);
    CHECK(life.authd.asked[0].service == ipc::Service::mx);
    CHECK(life.authd.asked[0].token.empty());
    CHECK(life.authd.asked[1].service == ipc::Service::submission);
    CHECK(life.authd.asked[1].token == "token");
}

TEST_CASE("a body that somebody can still write to is refused, and that smtpd dropped") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    Message m;
    m.keep_writer = true;
    const auto outcome = life.send(m);
    CHECK(outcome.lost);
    CHECK_FALSE(life.mx_side.connected());
    life.until_empty();
    CHECK(life.send({}, true).commit.code == 250); // the other smtpd is not concerned
}

TEST_CASE("a body of another length or checksum is refused") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    Message longer;
    longer.length_error = 1;
    CHECK(life.send(longer).commit.code == 451);
    Message other;
    other.crc_error = 1;
    CHECK(life.send(other).commit.code == 451);
    Message big;
    big.text.append(3 << 20, 'x'); // checked on a thread
    CHECK(life.send(big).commit.code == 250);
    big.crc_error = 1;
    CHECK(life.send(big).commit.code == 451);
    life.until_empty();
}

TEST_CASE("a message above the limit is refused for good") {
    Spool spool;
    auto config = test_config();
    config.message_size_max = 100;
    Life life(spool.path, spool.disk, spool.clock, config);
    Message big;
    big.text.append(100, 'x');
    CHECK(life.send(big).commit.code == 552);
}

TEST_CASE("envelopes that break the contract close that peer only") {
    Spool spool;
    for (const std::string& from :
         {std::string("a\r\nb"), std::string("a\0b", 3), std::string(2000, 'x')}) {
        Life life(spool.path, spool.disk, spool.clock);
        Message m;
        m.from = from;
        CHECK(life.send(m).lost);
        CHECK(life.submit_side.connected());
    }
    for (const std::string& to : {std::string("a\nb@home.test"), std::string()}) {
        Life life(spool.path, spool.disk, spool.clock);
        CHECK(life.send(message_to({to})).lost);
    }
    {
        Life life(spool.path, spool.disk, spool.clock);
        Message m;
        m.no_envelope = true;
        CHECK(life.send(m).lost);
        life.until_empty();
    }
    Life life(spool.path, spool.disk, spool.clock);
    CHECK(life.send(message_to(std::vector<std::string>(1001, "bob@home.test"))).lost);
    life.until_empty();
}

// What queued passes on has to fit into its own datagrams: there it would be our mistake, and end
// us.
TEST_CASE("an smtpd cannot make queued send more than fits into a datagram") {
    Spool spool;
    const auto message = [] {
        const std::string label = '.' + std::string(60, 'd');
        Message m = message_to({});
        for (int i = 0; i < 50; ++i)
            m.to.push_back(std::string(250, 'x') + std::to_string(i) + "@x" + label + label +
                           label + label);
        return m;
    };
    for (std::string Message::*text : {&Message::token, &Message::ret, &Message::envid}) {
        Life life(spool.path, spool.disk, spool.clock);
        Message m = message();
        m.*text = std::string(text == &Message::token ? 40'000 : 4000, 't');
        CHECK(life.send(m, true).lost);
        CHECK(life.mx_side.connected());
    }
    Life life(spool.path, spool.disk, spool.clock);
    Message m = message();
    m.token = std::string(1000, 't');
    m.ret = "HDRS";
    m.envid = std::string(300, 'e');
    m.prefix = "Received: " + std::string(24'000, 'r') + "\r\n";
    CHECK(life.send(m, true).commit.code == 250);
    life.until_empty();
    CHECK(life.relayd.got.size() == 1);
}

TEST_CASE("a commit of an unknown queue id is refused, an unknown id was not accepted") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    ipc::ReplyText answer;
    bool done = false;
    life.running.nursery.spawn([](Life& l, ipc::ReplyText& a, bool& d) -> task<> {
        ipc::Commit commit;
        commit.qid = Id{9, 9};
        a = co_await l.mx.call(std::move(commit));
        d = true;
    }(life, answer, done));
    life.running.until([&] { return done; });
    CHECK(answer.code == 451);
    CHECK_FALSE(life.asked(Id{9, 9}));
}

TEST_CASE("authd's refusal is given to the client and nothing is kept") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.authd.refuse_all = {550, "5.7.1", "over the limit"};
    const auto outcome = life.send({}, true);
    CHECK(outcome.commit.code == 550);
    CHECK(outcome.commit.text == "over the limit");
    life.until_empty();
    CHECK_FALSE(life.asked(outcome.qid));
}

TEST_CASE("all recipients refused: the client hears it; one temporarily: all of it again") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    CHECK(life.send(message_to({"x@home.test", "y@home.test"})).commit.enhanced == "5.1.1");
    life.authd.special["slow@home.test"].refusal = {451, "4.3.0", "not now"};
    const auto outcome = life.send(message_to({"bob@home.test", "slow@home.test"}));
    CHECK(outcome.commit.code == 451);
    CHECK(outcome.commit.text == "not now");
    CHECK(life.deliverd.got.empty());
    life.until_empty();
}

TEST_CASE("a recipient that was taken at RCPT and refused at the end bounces") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    CHECK(life.send(message_to({"bob@home.test", "gone@home.test"})).commit.code == 250);
    life.running.until([&] { return life.relayd.got.size() == 1; });
    CHECK(life.relayd.got[0].recipients[0].second == "sender@away.test");
    CHECK(life.relayd.got[0].reverse_path.empty());
    CHECK(life.relayd.bodies[0].find("gone@home.test") != std::string::npos);
    CHECK(life.relayd.bodies[0].find("bob@home.test") == std::string::npos);
    life.until_empty();
}

TEST_CASE("recipients are asked for fifty at a time, and counted once") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    std::vector<std::string> many;
    for (int i = 0; i < 120; ++i)
        many.push_back("u" + std::to_string(i) + "@away.test");
    CHECK(life.send(message_to(many), true).commit.code == 250);
    REQUIRE(life.authd.asked.size() == 3);
    CHECK(life.authd.asked[0].first);
    CHECK_FALSE(life.authd.asked[1].first);
    CHECK(life.authd.asked[2].recipients.size() == 20);
    CHECK(life.authd.asked[2].recipients_total == 120);
    life.until_empty();
    REQUIRE(life.relayd.got.size() == 3);
}

TEST_CASE("recipients that did not fit authd's answer are asked for again") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.authd.most_at_once = 2;
    std::vector<std::string> some{"a@away.test", "b@away.test", "c@away.test", "d@away.test",
                                  "e@away.test"};
    CHECK(life.send(message_to(some), true).commit.code == 250);
    REQUIRE(life.authd.asked.size() == 3);
    CHECK(life.authd.asked[1].recipients.front() == "c@away.test");
    CHECK(life.authd.asked[2].recipients.size() == 1);
    life.until_empty();
    REQUIRE(life.relayd.got.size() == 1);
    CHECK(life.relayd.got[0].recipients.size() == 5);
}

TEST_CASE("a discarded transaction and a lost smtpd leave nothing behind") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    std::vector<ipc::SpoolOpened> opened;
    const auto open = [](Life& l, std::vector<ipc::SpoolOpened>& all) -> task<> {
        ipc::OpenSpool request;
        auto one = co_await l.mx.call(std::move(request));
        all.push_back(std::move(one));
    };
    for (int i = 0; i < 2; ++i)
        life.running.nursery.spawn(open(life, opened));
    life.running.until([&] { return opened.size() == 2; });
    CHECK(life.bodies() == 2);
    ipc::Discard discard;
    discard.qid = opened[0].qid;
    life.mx.send(discard);
    life.running.until([&] { return life.bodies() == 1; });
    CHECK(life.body_exists(opened[1].qid));
    life.mx.drop("killed");
    life.until_empty();
}

TEST_CASE("a message whose smtpd died before the barrier began is left out") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    spool.disk.hold();
    Outcome first, second;
    life.running.nursery.spawn(transact(life.submit, {}, first));
    const int before = spool.disk.begun;
    life.running.until([&] { return spool.disk.begun > before; });
    life.running.nursery.spawn(transact(life.mx, {}, second));
    life.running.until([&] { return !second.qid.is_nil(); });
    life.running.run_for(20);
    life.mx.drop("killed");
    life.running.until([&] { return second.lost; });
    spool.disk.release();
    life.running.until([&] { return first.done; });
    CHECK(first.commit.code == 250);
    life.until_empty();
    CHECK(life.deliverd.got.size() == 1);
    Life::connect(life.mx_side, life.mx);
    CHECK_FALSE(life.asked(second.qid));
}

TEST_CASE("a question about a message that is being committed waits for the outcome") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    spool.disk.hold();
    Outcome outcome;
    life.running.nursery.spawn(transact(life.mx, {}, outcome));
    const int before = spool.disk.begun;
    life.running.until([&] { return spool.disk.begun > before; });
    bool done = false, accepted = false;
    life.running.nursery.spawn([](Life& l, Id qid, bool& d, bool& a) -> task<> {
        ipc::AskCommitted question;
        question.qid = qid;
        auto answer = co_await l.mx.call(std::move(question));
        a = answer.accepted;
        d = true;
    }(life, outcome.qid, done, accepted));
    life.running.run_for(20);
    CHECK_FALSE(done);
    spool.disk.release();
    life.running.until([&] { return done; });
    CHECK(accepted);
    life.until_empty();
}

TEST_CASE("below the reserve of the disk new mail is put off, and what is there goes on") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.deliverd.silent = true;
    CHECK(life.send({}).commit.code == 250);
    auto config = test_config();
    config.disk_reserve = INT64_MAX;
    life.server.configure(config);
    const auto refused = life.send({});
    CHECK(refused.open.code == 452);
    CHECK(refused.open.enhanced == "4.3.1");
    life.deliverd.silent = false;
    life.until_empty();
    life.server.configure(test_config());
    CHECK(life.send({}).commit.code == 250);
}

TEST_CASE("after a failed barrier everything is refused and nothing is removed") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.deliverd.silent = true;
    const auto kept = life.send({});
    spool.disk.fails = true;
    const auto refused = life.send({});
    CHECK(refused.commit.code == 451);
    CHECK(life.fault.find("syncfs") != std::string::npos);
    CHECK(life.send({}).open.code == 451);
    life.deliverd.silent = false;
    life.running.run_for(50);
    CHECK(life.body_exists(kept.qid));
    CHECK(life.db().holds(kept.qid));
    CHECK_FALSE(life.db().holds(refused.qid));
}

TEST_CASE("a read-only storage takes and delivers nothing until it is usable again") {
    Spool spool;
    Life life(spool.path, spool.disk, spool.clock);
    life.deliverd.silent = true;
    life.send({});
    life.server.set_read_only(true);
    CHECK(life.send({}).open.code == 451);
    life.server.set_read_only(false);
    life.deliverd.silent = false;
    CHECK(life.send({}).commit.code == 250);
    life.until_empty();
}

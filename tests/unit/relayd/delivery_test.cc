// Whole deliveries against scripted servers.
#include "tests/unit/relayd/relay_fixture.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "tests/unit/cuts.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace tambo;
using namespace tambo::test;
using namespace std::string_view_literals;

namespace {

Behaviour with(const std::string& command, std::vector<std::string> replies) {
    Behaviour behaviour;
    behaviour.replies[command] = std::move(replies);
    return behaviour;
}
Behaviour with_ehlo(const std::string& lines) {
    return with("EHLO", {"250-mx.test\r\n" + lines});
}
Behaviour greeting(const std::string& text) {
    Behaviour behaviour;
    behaviour.greeting = text;
    return behaviour;
}
std::string join(const std::vector<std::string>& lines) {
    std::string all;
    for (const auto& line : lines)
        all += line + "|";
    return all;
}

const std::vector<std::string> kThree = {"a@d.test", "b@d.test", "c@d.test"};

} // namespace

TEST_CASE("a message arrives, prefix first, and the connection ends with QUIT") {
    Relaying r;
    auto& server = r.serve();
    const auto done = r.relay();
    CHECK(summary(done) == "sent 250 2.0.0");
    CHECK(done.results[0].status.text == "queued as 42");
    CHECK(done.results[0].from_peer);
    CHECK(done.host == "mx.test");
    CHECK(done.address == "127.0.0.1");
    CHECK(done.tls.empty());
    r.settle(2300);
    const auto& visit = *server.visits.at(0);
    CHECK(join(visit.commands) ==
          "EHLO we.test|MAIL FROM:<alice@we.test> SIZE=68|RCPT TO:<bob@d.test>|DATA|QUIT|");
    CHECK(visit.content == "Received: from here\r\n" + kHeader + "body\r\n.\r\n");
}

TEST_CASE("a server that knows no EHLO gets HELO, one command at a time and no parameters") {
    Relaying r;
    auto& server = r.serve(with("EHLO", {"502 5.5.1 unknown\r\n"}));
    CHECK(summary(r.relay(Relaying::job(kHeader + "x\r\n", kThree))) ==
          "sent 250 2.0.0, sent 250 2.0.0, sent 250 2.0.0");
    CHECK(join(server.visits.at(0)->commands) ==
          "EHLO we.test|HELO we.test|MAIL FROM:<alice@we.test>|RCPT TO:<a@d.test>|"
          "RCPT TO:<b@d.test>|RCPT TO:<c@d.test>|DATA|");
}

TEST_CASE("each recipient gets the reply that is its own") {
    for (const bool pipelined : {true, false}) {
        Relaying r;
        auto behaviour = with("RCPT TO:<a@", {"550-5.1.1 no such\r\n550 5.1.1 user\r\n"});
        behaviour.replies["RCPT TO:<c@"] = {"450 4.2.1 busy\r\n"};
        if (!pipelined) behaviour.replies["EHLO"] = {"250 mx.test\r\n"};
        auto& server = r.serve(behaviour);
        const auto done = r.relay(Relaying::job(kHeader + "x\r\n", kThree));
        CHECK(summary(done) == "refused 550 5.1.1, sent 250 2.0.0, deferred 450 4.2.1");
        CHECK(done.results[0].status.text == "no such user");
        CHECK(server.visits.at(0)->messages.size() == 1);
    }
}

TEST_CASE("552 to RCPT means too many recipients, for now") {
    Relaying r;
    r.serve(with("RCPT TO:<b@", {"552 too many\r\n"}));
    CHECK(summary(r.relay(Relaying::job(kHeader, {"a@d.test", "b@d.test"}))) ==
          "sent 250 2.0.0, deferred 552 5.0.0");
}

TEST_CASE("when all recipients are refused no content is sent") {
    for (const std::string data : {"354 go\r\n", "503 no recipients\r\n"}) {
        Relaying r;
        auto behaviour = with("RCPT", {"550 5.7.1 no\r\n"});
        behaviour.replies["DATA"] = {data};
        behaviour.final_reply = "554 5.5.1 no valid recipients\r\n";
        auto& server = r.serve(behaviour);
        CHECK(summary(r.relay(Relaying::job(kHeader + "x\r\n", kThree))) ==
              "refused 550 5.7.1, refused 550 5.7.1, refused 550 5.7.1");
        CHECK(server.visits.at(0)->content == (data[0] == '3' ? ".\r\n" : "")); // RFC 2920 3.1
    }
}

TEST_CASE("4xx and 5xx at every stage") {
    const std::vector<std::pair<std::string, std::string>> stages = {
        {"MAIL", "MAIL"}, {"RCPT", "RCPT"}, {"DATA", "DATA"}, {"end", "end"}};
    for (const auto& [name, command] : stages) {
        for (const bool permanent : {true, false}) {
            for (const bool pipelined : {true, false}) {
                CAPTURE(name, permanent, pipelined);
                Relaying r;
                const std::string reply = permanent ? "554 5.7.1 no\r\n" : "451 4.7.1 later\r\n";
                Behaviour behaviour;
                if (command == "end") {
                    behaviour.final_reply = reply;
                } else {
                    behaviour.replies[command] = {reply};
                }
                if (!pipelined) behaviour.replies["EHLO"] = {"250 mx.test\r\n"};
                auto& server = r.serve(behaviour);
                const auto done = r.relay();
                CHECK(summary(done) == (permanent ? "refused 554 5.7.1" : "deferred 451 4.7.1"));
                CHECK(done.results[0].from_peer);
                CHECK(server.visits.size() == 1);
            }
        }
    }
}

TEST_CASE("greetings other than 220 defer, except 521, and the next address is tried") {
    const auto only = [](const std::string& text) {
        Relaying r(Relaying::impatient());
        r.serve(greeting(text));
        return summary(r.relay());
    };
    CHECK(only("554 5.7.1 not you\r\n") == "deferred 554 5.7.1");
    CHECK(only("421 4.3.2 busy\r\n") == "deferred 421 4.3.2");
    CHECK(only("521 5.3.2 accepts no mail\r\n") == "refused 521 5.3.2"); // RFC 7504
    CHECK(only(kHangUp) == "deferred 451 4.4.2");
    CHECK(only(kSilence) == "deferred 451 4.4.2");
    CHECK(only("HTTP/1.1 400 Bad Request\r\n\r\n") == "deferred 451 4.4.2");

    Relaying r;
    auto& bad = r.serve({greeting("554 not you\r\n")});
    auto& good = r.serve({Behaviour()}, "127.0.0.2");
    r.names.mx("d.test", 20, "mx2.test");
    r.names.address("mx2.test", "127.0.0.2");
    const auto done = r.relay();
    CHECK(summary(done) == "sent 250 2.0.0");
    CHECK(done.host == "mx2.test");
    CHECK(bad.visits.size() == 1);
    CHECK(good.visits.size() == 1);
}

TEST_CASE("a dead best exchanger: the second gets it") {
    Relaying r;
    r.names.clear();
    r.names.mx("d.test", 10, "dead.test");
    r.names.mx("d.test", 20, "mx.test");
    r.names.address("dead.test", "127.0.0.3"); // nobody listens there
    r.names.address("mx.test", "127.0.0.1");
    r.serve();
    CHECK(summary(r.relay()) == "sent 250 2.0.0");
}

TEST_CASE("at most five addresses and two sessions are tried") {
    Relaying r;
    r.names.clear();
    r.names.mx("d.test", 10, "mx.test");
    std::vector<ScriptedSmtp*> servers;
    for (int i = 1; i <= 7; ++i) {
        const auto ip = "127.0.0." + std::to_string(i);
        servers.push_back(&r.serve({greeting("450 later\r\n")}, ip));
        r.names.address("mx.test", ip);
    }
    CHECK(summary(r.relay()) == "deferred 450 4.0.0");
    size_t visits = 0;
    for (const auto* server : servers)
        visits += server->visits.size();
    CHECK(visits == limits::relay_addresses_per_try);

    Relaying s;
    s.names.clear();
    s.names.mx("d.test", 10, "mx.test");
    servers.clear();
    for (int i = 1; i <= 4; ++i) {
        const auto ip = "127.0.0." + std::to_string(i);
        servers.push_back(&s.serve({with("MAIL", {"421 4.3.2 shutting down\r\n"})}, ip));
        s.names.address("mx.test", ip);
    }
    const auto done = s.relay();
    CHECK(summary(done) == "deferred 421 4.3.2");
    CHECK(done.results[0].from_peer);
    visits = 0;
    for (const auto* server : servers)
        visits += server->visits.size();
    CHECK(visits == limits::relay_sessions_per_try);
}

TEST_CASE("421 in the middle: who was refused stays so, the others go elsewhere") {
    Relaying r;
    auto behaviour = with("RCPT TO:<a@", {"550 5.1.1 no\r\n"});
    behaviour.replies["RCPT TO:<c@"] = {"421 4.3.2 going down\r\n"};
    r.serve({behaviour});
    auto& second = r.serve({Behaviour()}, "127.0.0.2");
    r.names.mx("d.test", 20, "mx2.test");
    r.names.address("mx2.test", "127.0.0.2");
    CHECK(summary(r.relay(Relaying::job(kHeader + "x\r\n", kThree))) ==
          "refused 550 5.1.1, sent 250 2.0.0, sent 250 2.0.0");
    CHECK(second.visits.at(0)->commands[2] == "RCPT TO:<b@d.test>");
}

TEST_CASE("a server that stalls costs its deadline at every stage, and says where") {
    for (const std::string command : {"EHLO", "MAIL", "RCPT", "DATA"}) {
        CAPTURE(command);
        Relaying r(Relaying::impatient());
        auto behaviour = with(command, {kSilence});
        if (command != "EHLO") behaviour.replies["EHLO"] = {"250 mx.test\r\n"};
        r.serve(behaviour);
        const auto done = r.relay();
        CHECK(summary(done) == "deferred 451 4.4.2");
        CHECK(done.results[0].status.text.find("timed out while waiting for the reply to " +
                                               command) != std::string::npos);
        CHECK_FALSE(done.results[0].from_peer);
    }
}

TEST_CASE("a server that hangs up at any stage before the end is left for the next one") {
    for (const std::string command : {"EHLO", "MAIL", "RCPT", "DATA"}) {
        CAPTURE(command);
        Relaying r;
        r.serve({with(command, {kHangUp})});
        r.serve({Behaviour()}, "127.0.0.2");
        r.names.mx("d.test", 20, "mx2.test");
        r.names.address("mx2.test", "127.0.0.2");
        CHECK(summary(r.relay()) == "sent 250 2.0.0");
    }
}

TEST_CASE("after the final dot nothing is tried again: it may have arrived") {
    for (const auto& what : {kHangUp, kSilence, std::string("gibberish\r\n")}) {
        Relaying r(Relaying::impatient());
        Behaviour behaviour;
        behaviour.final_reply = what;
        r.serve({behaviour});
        auto& second = r.serve({Behaviour()}, "127.0.0.2");
        r.names.mx("d.test", 20, "mx2.test");
        r.names.address("mx2.test", "127.0.0.2");
        const auto done = r.relay();
        CHECK(summary(done) == "deferred 451 4.4.2");
        CHECK(done.results[0].status.text.find("may have arrived") != std::string::npos);
        CHECK(second.visits.empty());
    }
}

namespace {

// The socket of this process whose other end is that address, or -1.
int socket_to(const net::SocketAddress& peer) {
    for (int fd = 0; fd < 200; ++fd) {
        if (net::SocketAddress::peer_of(fd).text() == peer.text()) return fd;
    }
    return -1;
}

// What the kernel says of the client's socket from now on is an error that is no lost connection;
// then the reply comes.
UniqueFd spoil(uint16_t server_port, const std::string& reply) {
    const auto server = net::SocketAddress::parse("127.0.0.1", server_port);
    const int client = socket_to(*server);
    REQUIRE(client >= 0);
    const int served = socket_to(net::SocketAddress::local_of(client));
    REQUIRE(served >= 0);
    UniqueFd kept(::dup(client)); // the loop goes on watching what it was
    const UniqueFd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    REQUIRE(::dup2(other.get(), client) == client);
    REQUIRE(::send(served, reply.data(), reply.size(), MSG_NOSIGNAL) > 0);
    return kept;
}

} // namespace

TEST_CASE("a system error after the final dot is no reason to try again either") {
    Relaying r(Relaying::impatient());
    Behaviour behaviour;
    behaviour.final_reply = kSilence;
    auto& first = r.serve({behaviour});
    auto& second = r.serve({Behaviour()}, "127.0.0.2");
    r.names.mx("d.test", 20, "mx2.test");
    r.names.address("mx2.test", "127.0.0.2");
    UniqueFd kept;
    r.loop.every(5, [&] {
        const bool whole = !first.visits.empty() && !first.visits[0]->messages.empty();
        if (whole && !kept) kept = spoil(first.port(), "250 2.0.0 taken\r\n");
    });
    const auto done = r.relay();
    CHECK(kept.valid());
    CHECK(summary(done) == "deferred 451 4.4.2");
    const auto& text = done.results[0].status.text;
    CHECK(text.starts_with("Socket operation on non-socket after the message was sent to"));
    CHECK(second.visits.empty());
}

TEST_CASE("a server that hangs up in the middle of the content may say why") {
    const auto outcome = [](const std::string& early) {
        Relaying r;
        Behaviour behaviour;
        behaviour.hang_up_after = 10'000;
        behaviour.early_reply = early;
        r.serve({behaviour});
        r.serve({Behaviour()}, "127.0.0.2");
        r.names.mx("d.test", 20, "mx2.test");
        r.names.address("mx2.test", "127.0.0.2");
        std::string content = kHeader;
        for (int i = 0; i < 200'000; ++i)
            content += "0123456789012345678901234567890123456789\r\n";
        const auto done = r.relay(Relaying::job(content));
        return summary(done);
    };
    CHECK(outcome("") == "sent 250 2.0.0"); // by the second exchanger
    // What it said is lost if the kernel resets the connection first; then the next one is asked.
    const auto refused = outcome("552 5.3.4 too big\r\n");
    CHECK((refused == "refused 552 5.3.4" || refused == "sent 250 2.0.0"));
}

TEST_CASE("F2: only CRLF leaves, and every line's dot is doubled") {
    Relaying r;
    auto& server = r.serve();
    std::string content = kHeader;
    content += ".\r\n..\r\n.x\r\n\r\n.\r\nMAIL FROM:<evil@x>\r\n";
    CHECK(summary(r.relay(Relaying::job(content + "no line end"))) == "sent 250 2.0.0");
    const auto& wire = server.visits.at(0)->content;
    CHECK(wire == "Received: from here\r\n" + kHeader +
                      "..\r\n...\r\n..x\r\n\r\n..\r\nMAIL FROM:<evil@x>\r\nno line end\r\n.\r\n");
    for (size_t i = 0; i < wire.size(); ++i) {
        if (wire[i] == '\r') CHECK(wire[i + 1] == '\n');
        if (wire[i] == '\n') CHECK(wire[i - 1] == '\r');
    }
}

TEST_CASE("F2: a message with a bare CR, a bare LF or a NUL never leaves") {
    // RULES.md F1
    for (const std::string_view bad :
         {"\n.\n"sv, "\n.\r\n"sv, "\r\n.\n"sv, "\r.\r"sv, "\r\n.\r"sv, "\r.\r\n"sv, "\r\n.\0\r\n"sv,
          "\r\n\0.\r\n"sv, "\n\r.\r\n"sv, "\r\r\n.\r\r\n"sv, "\n.\r"sv, "\r.\n"sv, "\r\n.\r\r\n"sv,
          "\r"sv, "\n"sv}) {
        const std::string tail = cat("x", bad, "MAIL FROM:<evil@x>\r\n");
        // Alone, and with each byte of it as the last of the first 64 KiB.
        Relaying r;
        auto& server = r.serve();
        for (size_t before = 0; before <= tail.size(); ++before) {
            const std::string filler(before == 0 ? 0 : 64 * 1024 - kHeader.size() - before, 'x');
            INFO(escape(bad) << " with " << before << " bytes before the end of 64 KiB");
            CHECK(summary(r.relay(Relaying::job(kHeader + filler + tail))) == "refused 554 5.6.0");
        }
        CHECK(summary(r.relay(Relaying::job(kHeader + "x" + std::string(bad)))) ==
              "refused 554 5.6.0"); // at the very end
        CHECK(server.visits.empty());
    }
    // The prefix of 21 bytes is read with the body.
    for (size_t before = 0; before <= 30; ++before) {
        const std::string filler(64 * 1024 - kHeader.size() - before, 'x');
        Relaying r;
        auto& server = r.serve();
        CHECK(summary(r.relay(Relaying::job(kHeader + filler + "\r\n.\r\n..\r\n"))) ==
              "sent 250 2.0.0");
        CHECK(server.visits.at(0)->content.ends_with("xx\r\n..\r\n...\r\n.\r\n"));
    }
}

TEST_CASE("replies are read wherever they are cut") {
    const auto failure = cuts::everywhere(90, [](size_t cut) -> std::string {
        Relaying r;
        Behaviour behaviour;
        behaviour.cut = cut == cuts::kBytewise ? 0 : cut;
        behaviour.drip = cut == cuts::kBytewise ? 1 : 0;
        behaviour.replies["RCPT TO:<a@"] = {"550-5.1.1 no such\r\n550 5.1.1 user\r\n"};
        r.serve(behaviour);
        const auto got = summary(r.relay(Relaying::job(kHeader, kThree)));
        return got == "refused 550 5.1.1, sent 250 2.0.0, sent 250 2.0.0" ? "" : got;
    });
    CHECK(failure == "");
}

namespace {

// What becomes of this reply to RCPT.
std::string said(const std::string& reply, size_t cut = cuts::kWhole) {
    Relaying r;
    auto behaviour = with("RCPT", {reply});
    behaviour.cut = cut;
    r.serve(behaviour);
    const auto done = r.relay();
    return summary(done) + ": " + done.results[0].status.text;
}

} // namespace

TEST_CASE("I2: what servers say is cleaned and never read twice, wherever it is cut") {
    const std::string lost = "deferred 451 4.4.2: ";
    const std::vector<std::pair<std::string, std::string>> replies = {
        {"553-\r\n553\r\n", "refused 553 5.0.0: "},
        {"550 5.7.2\r\n", "refused 550 5.7.2: "},
        {"550 x\ntype: mda\r\n", "refused 550 5.0.0: xtype: mda"},
        {"550 \x1b]0;x\x07 evil\r\n", "refused 550 5.0.0: ]0;x evil"},
        {"450 5.1.1 mixed classes\r\n", "deferred 450 4.0.0: 5.1.1 mixed classes"},
        {"550 5.1.1 a\r250 2.0.0 b\r\n", "refused 550 5.1.1: a250 2.0.0 b"},
        {"250-a\r\n550 b\r\n", lost},
        {"99 what\r\n", lost},
        {"\r\n250 ok\r\n", lost},
        {"250ok\r\n", lost}};
    for (const auto& [reply, outcome] : replies) {
        INFO(escape(reply));
        CHECK(cuts::everywhere(reply.size(), [&](size_t cut) -> std::string {
                  const auto got = said(reply, cut);
                  const bool good = outcome == lost ? got.starts_with(lost) : got == outcome;
                  return good ? "" : got;
              }) == "");
    }
}

// Cut at every byte: tests/unit/smtp/client_reply_test.cc.
TEST_CASE("I2: what servers say is bounded") {
    const std::string huge = "550 " + std::string(10'000'000, 'x');
    for (const size_t cut : {cuts::kWhole, size_t{4}, size_t{516}, size_t{100'000}}) {
        const auto endless = said(huge, cut);
        CHECK(endless.starts_with("refused 550 5.0.0: xxx"));
        CHECK(endless.size() < 600);
    }
    std::string many;
    for (int i = 0; i < 1000; ++i)
        many += "550-line\r\n";
    CHECK(said(many + "550 end\r\n").size() < 1000);
    CHECK(said("250-" + std::string(2'000'000, 'x')).starts_with("deferred 451 4.4.2"));
}

TEST_CASE("replies that trickle byte by byte are read all the same") {
    Relaying r;
    Behaviour behaviour;
    behaviour.drip = 1;
    r.serve(behaviour);
    CHECK(summary(r.relay()) == "sent 250 2.0.0");
}

TEST_CASE("a reply that trickles too slowly ends with the deadline of the whole") {
    Relaying r(Relaying::impatient());
    Behaviour behaviour;
    behaviour.greeting = "220 " + std::string(5000, 'x') + "\r\n";
    behaviour.drip = 1;
    r.serve(behaviour);
    CHECK(summary(r.relay()) == "deferred 451 4.4.2");
}

TEST_CASE("SIZE: a message that is too large is not sent") {
    Relaying r;
    auto& server = r.serve(with_ehlo("250 SIZE 60\r\n"));
    CHECK(summary(r.relay()) == "refused 552 5.3.4");
    CHECK(join(server.visits.at(0)->commands) == "EHLO we.test|");
}

TEST_CASE("the next message takes the connection that stands, and a dead one costs nothing") {
    Relaying r;
    auto& server = r.serve();
    CHECK(summary(r.relay()) == "sent 250 2.0.0");
    const size_t asked = r.names.asked.size();
    CHECK(summary(r.relay()) == "sent 250 2.0.0");
    CHECK(summary(r.relay()) == "sent 250 2.0.0");
    REQUIRE(server.visits.size() == 1);
    CHECK(server.visits.at(0)->messages.size() == 3);
    CHECK(r.names.asked.size() == asked);

    Relaying s;
    auto& tired = s.serve(with("MAIL", {"250 ok\r\n", kHangUp}));
    CHECK(summary(s.relay()) == "sent 250 2.0.0");
    CHECK(summary(s.relay()) == "sent 250 2.0.0");
    CHECK(tired.visits.size() == 2);
}

TEST_CASE("a connection is not kept after a refusal of everything, but ends politely") {
    Relaying r;
    auto& server = r.serve(with("MAIL", {"550 5.7.1 no\r\n"}));
    CHECK(summary(r.relay()) == "refused 550 5.7.1");
    r.settle();
    CHECK(server.visits.at(0)->commands.back() == "QUIT");
    CHECK(server.visits.at(0)->ended);
}

TEST_CASE("sessions at a time are bounded; the others wait") {
    Relaying r;
    r.config.sessions_max = 2;
    Behaviour slow;
    slow.drip = 20;
    auto& server = r.serve(slow);
    std::vector<ipc::Relay> jobs;
    for (int i = 0; i < 6; ++i)
        jobs.push_back(Relaying::job());
    for (const auto& done : r.relay_all(std::move(jobs)))
        CHECK(summary(done) == "sent 250 2.0.0");
    CHECK(server.visits.size() == 2);
}

TEST_CASE("no route: the reason is the result, and nobody is called") {
    Relaying r;
    auto& server = r.serve();
    r.names.mx("null.test", 0, ".");
    auto job = Relaying::job(kHeader, kThree);
    job.destination = "null.test";
    CHECK(summary(r.relay(std::move(job))) ==
          "refused 556 5.1.10, refused 556 5.1.10, refused 556 5.1.10");
    CHECK(server.visits.empty());
}

TEST_CASE("malformed addresses are refused here; the null reverse-path is one") {
    Relaying r;
    auto& server = r.serve();
    CHECK(summary(r.relay(Relaying::job(kHeader, {"a b@d.test", "b@d.test", "\r\nx@d.test"}))) ==
          "refused 553 5.1.3, sent 250 2.0.0, refused 553 5.1.3");
    auto bounce = Relaying::job();
    bounce.reverse_path = "";
    CHECK(summary(r.relay(std::move(bounce))) == "sent 250 2.0.0");
    CHECK(server.visits.at(0)->commands[4] == "MAIL FROM:<> SIZE=68");
    auto bad = Relaying::job();
    bad.reverse_path = "x>\r\nRCPT TO:<y@d.test";
    CHECK(summary(r.relay(std::move(bad))) == "refused 553 5.1.7");
}

TEST_CASE("a body that is shorter than recorded stays here") {
    Relaying r;
    auto& server = r.serve();
    auto job = Relaying::job();
    job.body_bytes += 1;
    CHECK(summary(r.relay(std::move(job))) == "deferred 451 4.3.0");
    CHECK(server.visits.empty());
}

TEST_CASE("draining: connections that wait are closed, and it tells when all is done") {
    Relaying r;
    auto& server = r.serve();
    CHECK(summary(r.relay()) == "sent 250 2.0.0");
    bool drained = false;
    r.service().drain([&] { drained = true; });
    r.settle();
    CHECK(drained);
    CHECK(server.visits.at(0)->commands.back() == "QUIT");
}

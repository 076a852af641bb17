#include "tests/unit/queued/life.h"

#include "common/sys/error.h"

#include <sys/un.h>
#include <sysexits.h>

using namespace tambo;
using namespace tambo::test;

namespace {

using Rows = std::vector<std::vector<std::string>>;

// A life whose relayd defers everything, with a control socket.
struct Served {
    Spool spool;
    Life life{spool.path, spool.disk, spool.clock};
    std::string path = spool.scratch / "queued.sock";
    ipc::AdminServer admin{life.running.nursery, listen()};
    ipc::Channel command{life.running.nursery, "queued"};

    Served() {
        life.server.serve(admin);
        life.relayd.judge = [](const std::string&) {
            ipc::RelayResult result;
            result.from_peer = true;
            result.status = {451, "4.3.2", "busy"};
            return result;
        };
        command.attach(connect());
    }
    ~Served() {
        command.drop("end");
        life.running.run_for(10);
        life.end();
    }
    sockaddr_un address() const {
        sockaddr_un a{};
        a.sun_family = AF_UNIX;
        path.copy(a.sun_path, sizeof a.sun_path - 1);
        return a;
    }
    UniqueFd listen() const {
        UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        const sockaddr_un a = address();
        REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
        REQUIRE(::listen(fd.get(), 5) == 0);
        return fd;
    }
    UniqueFd connect() const {
        UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        const sockaddr_un a = address();
        REQUIRE(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
        return fd;
    }
    static task<>
    call(Served& self, ipc::AdminRequest request, ipc::AdminAnswer& answer, bool& done) {
        answer = co_await self.command.call(std::move(request));
        done = true;
    }
    ipc::AdminAnswer ask(const std::string& verb,
                         std::vector<std::string> words = {},
                         const std::string& cursor = "") {
        ipc::AdminRequest request;
        request.verb = verb;
        request.words = std::move(words);
        request.cursor = cursor;
        ipc::AdminAnswer answer;
        bool done = false;
        life.running.nursery.spawn(call(*this, std::move(request), answer, done));
        life.running.until([&] { return done; });
        return answer;
    }
    // All pages.
    ipc::AdminAnswer ask_all(const std::string& verb, const std::vector<std::string>& words = {}) {
        ipc::AdminAnswer all = ask(verb, words);
        while (!all.next.empty()) {
            auto more = ask(verb, words, all.next);
            std::move(more.rows.begin(), more.rows.end(), std::back_inserter(all.rows));
            all.next = more.next;
        }
        return all;
    }
    Id deferred(const std::string& from, std::vector<std::string> to) {
        Message m;
        m.from = from;
        m.to = std::move(to);
        const size_t before = static_cast<size_t>(waiting());
        const auto outcome = life.send(m, true);
        REQUIRE(outcome.commit.code == 250);
        life.running.until([&] { return static_cast<size_t>(waiting()) == before + m.to.size(); });
        return outcome.qid;
    }
    int64_t waiting() { return life.db().count(life.clock.now()).deferred; }
    std::string field(const Rows& rows, std::string_view name) {
        for (const auto& row : rows) {
            if (row[0] == name) return row[1];
        }
        return "no such field";
    }
};

} // namespace

TEST_CASE("the list has a row for each recipient, and filters choose among them") {
    Served s;
    const Id first = s.deferred("alice@home.test", {"c@away.test", "d@bücher.test"});
    const Id second = s.deferred("bob@home.test", {"e@away.test"});
    const auto all = s.ask("queue.list");
    CHECK(all.exit_code == 0);
    CHECK(all.columns == std::vector<std::string>{"queue_id", "accepted", "size", "from", "to",
                                                  "status", "attempts", "next_attempt", "reason"});
    REQUIRE(all.rows.size() == 3);
    CHECK(all.rows[0][0] == first.text());
    CHECK(all.rows[0][3] == "alice@home.test");
    CHECK(all.rows[0][4] == "c@away.test");
    CHECK(all.rows[0][5] == "deferred");
    CHECK(all.rows[0][6] == "1");
    CHECK(all.rows[0][8] == "mx.remote.test: 451 4.3.2 busy");
    CHECK(all.rows[2][0] == second.text());
    const auto count = [&](std::vector<std::string> words) {
        return s.ask("queue.list", std::move(words)).rows.size();
    };
    CHECK(count({"from=ALICE@home.test"}) == 2);
    CHECK(count({"to=e@away.test"}) == 1);
    CHECK(count({"domain=away.test"}) == 2);
    CHECK(count({"domain=xn--bcher-kva.test"}) == 1);
    CHECK(count({"domain=Bücher.test"}) == 1);
    CHECK(count({"domain=away.test", "from=bob@home.test"}) == 1);
    CHECK(count({second.text()}) == 1);
    CHECK(count({to_upper(second.text())}) == 1);
    CHECK(count({"status=held"}) == 0);
    CHECK(count({"status=deferred"}) == 3);
    CHECK(count({"older=1h"}) == 0);
    s.spool.clock.passed_ms += 3'600'000;
    CHECK(count({"older=1h"}) == 3);
}

TEST_CASE("words that mean nothing are told") {
    Served s;
    for (const std::string& word : {std::string("nonsense"), std::string("older=x"),
                                    std::string("status=gone"), std::string("color=red")}) {
        const auto answer = s.ask("queue.list", {word});
        CHECK(answer.exit_code == EX_USAGE);
        CHECK_FALSE(answer.error.empty());
    }
    CHECK(s.ask("queue.list", {}, "x.y").exit_code == EX_USAGE);
    CHECK(s.ask("queue.drop").exit_code == EX_USAGE);
    CHECK(s.ask("queue.hold", {Id{1, 2}.text()}).exit_code == 1);
    CHECK(s.ask("queue.show", {Id{1, 2}.text()}).exit_code == 1);
    CHECK(s.ask("queue.show").exit_code == EX_USAGE);
    CHECK(s.ask("queue.cat", {Id{1, 2}.text()}).exit_code == 1);
}

TEST_CASE("a long list comes in pages") {
    Served s;
    std::vector<std::string> many;
    for (int i = 0; i < 700; ++i)
        many.push_back("user" + std::to_string(i) + "@away.test");
    const Id qid = s.deferred("alice@home.test", many);
    const auto page = s.ask("queue.list");
    CHECK_FALSE(page.next.empty());
    const auto all = s.ask_all("queue.list");
    CHECK(all.rows.size() == 700);
    const auto shown = s.ask_all("queue.show", {qid.text()});
    CHECK(std::count_if(shown.rows.begin(), shown.rows.end(),
                        [](const auto& row) { return row[0] == "to"; }) == 700);
}

TEST_CASE("show tells all that is known, cat gives the message") {
    Served s;
    Message m;
    m.to = {"c@away.test"};
    m.text += std::string(100'000, 'x') + "\r\n";
    const Id qid = s.life.send(m, true).qid;
    s.life.running.until([&] { return s.waiting() == 1; });
    const auto shown = s.ask("queue.show", {qid.text()});
    CHECK(s.field(shown.rows, "from") == "<sender@away.test>");
    CHECK(s.field(shown.rows, "login") == "alice@home.test");
    CHECK(s.field(shown.rows, "source") == "submission");
    CHECK(s.field(shown.rows, "session") == "session1");
    const std::string to = s.field(shown.rows, "to");
    CHECK(to.starts_with("c@away.test, attempts 1, last 20"));
    CHECK(to.find("451 4.3.2 busy") != std::string::npos);
    std::string text;
    for (const auto& row : s.ask_all("queue.cat", {qid.text()}).rows)
        text += row[0];
    CHECK(text == "Received: from away.test by mx.home.test\r\n" + m.text);
}

TEST_CASE("a held message waits until it is released") {
    Served s;
    const Id qid = s.deferred("alice@home.test", {"c@away.test"});
    const auto answer = s.ask("queue.hold", {qid.text()});
    CHECK(answer.exit_code == 0);
    CHECK(answer.rows == Rows{{qid.text(), "held"}});
    CHECK(s.ask("queue.list").rows[0][5] == "held");
    s.life.pass(10'000'000);
    s.life.running.run_for(20);
    CHECK(s.life.relayd.got.size() == 1);
    s.life.relayd.judge = FakeRelayd().judge;
    CHECK(s.ask("queue.release", {"status=held"}).rows.size() == 1);
    s.life.until_empty();
    CHECK(s.life.relayd.got.size() == 2);
}

TEST_CASE("a message held before its turn is not sent") {
    Served s;
    s.life.relayd_side.drop("away");
    s.life.running.run_for(5);
    Message m;
    m.to = {"c@away.test"};
    const Id qid = s.life.send(m, true).qid;
    CHECK(s.ask("queue.list").rows[0][5] == "queued");
    CHECK(s.ask("queue.hold", {qid.text()}).exit_code == 0);
    Life::connect(s.life.relay, s.life.relayd_side);
    s.life.running.run_for(30);
    CHECK(s.life.relayd.got.empty());
    CHECK(s.ask("queue.list").rows[0][5] == "held");
}

TEST_CASE("retry and flush make due at once, resting destinations too") {
    Served s;
    const Id qid = s.deferred("alice@home.test", {"c@away.test"});
    s.deferred("alice@home.test", {"c@other.test"});
    s.ask("queue.retry", {qid.text()});
    s.life.running.until([&] { return s.life.relayd.got.size() == 3; });
    CHECK(s.life.relayd.got[2].qid == qid);
    s.life.running.until([&] { return s.waiting() == 2; });
    CHECK(s.ask("queue.flush").exit_code == 0);
    s.life.running.until([&] { return s.life.relayd.got.size() == 5; });
    s.life.running.until([&] { return s.waiting() == 2; });
    s.life.relayd.judge = FakeRelayd().judge;
    s.ask("queue.flush", {"domain=other.test"});
    s.life.running.until([&] { return s.waiting() == 1; });
}

TEST_CASE("a dropped message goes without a word, also while it is under way") {
    Served s;
    const Id qid = s.deferred("alice@home.test", {"c@away.test"});
    CHECK(s.ask("queue.drop", {qid.text()}).rows == Rows{{qid.text(), "dropped"}});
    CHECK(s.life.empty());
    s.life.relayd.silent = true;
    s.life.relayd.judge = [](const std::string&) {
        ipc::RelayResult result;
        result.outcome = ipc::RelayOutcome::refused;
        result.status = {550, "5.1.1", "who?"};
        return result;
    };
    Message m;
    m.from = "alice@home.test";
    m.to = {"c@away.test"};
    s.life.send(m, true);
    s.life.running.until([&] { return s.life.relayd.got.size() == 2; });
    CHECK(s.ask("queue.drop", {"from=alice@home.test"}).rows.size() == 1);
    s.life.relayd.silent = false;
    s.life.until_empty();
    s.life.running.run_for(20);
    CHECK(s.life.deliverd.got.empty()); // no bounce
    CHECK(s.life.empty());
}

TEST_CASE("the status is numbers") {
    Served s;
    s.deferred("alice@home.test", {"c@away.test"});
    const auto answer = s.ask("status");
    CHECK(s.field(answer.rows, "accepting") == "yes");
    CHECK(s.field(answer.rows, "messages") == "1");
    CHECK(s.field(answer.rows, "deferred") == "1");
    CHECK(s.field(answer.rows, "running") == "0");
    CHECK(s.field(answer.rows, "transactions_open") == "0");
    s.spool.disk.fails = true;
    s.life.send({});
    CHECK(s.field(s.ask("status").rows, "accepting").starts_with("no: "));
    CHECK(s.ask("queue.flush").exit_code == 0);
    CHECK(s.ask("queue.drop", {"from=alice@home.test"}).exit_code == EX_IOERR);
}

TEST_CASE("what is delivered and waits for the disk is not shown as queued") {
    Served s;
    Message m;
    m.to = {"alice@home.test"};
    REQUIRE(s.life.send(m, true).commit.code == 250);
    s.spool.disk.hold(); // its row cannot go
    Rows rows;
    for (int i = 0; i < 1000; ++i) {
        rows = s.ask("queue.list").rows;
        REQUIRE(rows.size() == 1);
        if (rows[0][5] == "delivered") break;
        CHECK(rows[0][5] == "queued");
        s.life.running.run_for(1);
    }
    CHECK(s.life.deliverd.answered == 1);
    CHECK(rows[0][5] == "delivered");
    CHECK(rows[0][7].empty()); // there is no next attempt
    CHECK(s.ask("queue.list", {"status=queued"}).rows.empty());
    CHECK(s.ask("queue.list", {"status=delivered"}).rows.size() == 1);
    const auto shown = s.field(s.ask("queue.show", {rows[0][0]}).rows, "to");
    CHECK(shown.find("delivered") != std::string::npos);
    CHECK(shown.find("next") == std::string::npos);
    s.spool.disk.release();
    s.life.running.until([&] { return s.life.db().count(s.life.clock.now()).recipients == 0; });
    CHECK(s.ask("queue.list").rows.empty());
}

#include "common/spool/queue_db.h"

#include "tests/unit/spool/scratch.h"

#include <catch2/catch.hpp>

#include <array>

using namespace tambo;
using namespace tambo::spool;
using tambo::test::Scratch;

namespace {

Envelope envelope(int64_t seq) {
    Envelope e;
    e.seq = seq;
    e.qid = Id{1, static_cast<uint64_t>(seq)};
    e.source = Source::submission;
    e.sid = "s1";
    e.login = "alice@example.test";
    e.reverse_path = "alice@example.test";
    e.helo = "client.example";
    e.client_ip = "192.0.2.1";
    e.client_name = "client.example";
    e.protocol = "ESMTPSA";
    e.message_id = "<m@x>";
    e.header_from = "alice@example.test";
    e.dkim_domain = "example.test";
    e.body = 1;
    e.smtputf8 = true;
    e.require_tls = true;
    e.ret = "HDRS";
    e.envid = "id";
    e.hold_until_ms = 5;
    e.deliver_by_ms = 6;
    e.priority = -3;
    e.prefix = "Received: by x\r\n";
    e.length = 5;
    e.crc32c = 0xfedcba98;
    e.accepted = UtcTime{1000};
    e.uptime_ms = 77;
    return e;
}

Recipient recipient(uint32_t no, int64_t next_attempt) {
    Recipient r;
    r.rcpt_no = no;
    r.original = "bob+x@example.test";
    r.notify = "NEVER";
    r.orcpt = "rfc822;bob@example.test";
    r.kind = Kind::local;
    r.account = Id{9, 9};
    r.address = "bob@example.test";
    r.detail = "x";
    r.next_attempt = UtcTime{next_attempt};
    return r;
}

void insert(QueueDb& db, const Envelope& e, std::vector<Recipient> recipients) {
    QueueDb::Batch batch(db);
    REQUIRE(db.insert(e, recipients));
    batch.commit();
}

template <class F>
void change(QueueDb& db, F work) {
    QueueDb::Batch batch(db);
    work();
    batch.commit();
}

} // namespace

TEST_CASE("an envelope comes back as it was written, also from another process") {
    Scratch scratch;
    const Envelope e = envelope(3);
    {
        QueueDb db(scratch / "queue.db");
        CHECK(db.created());
        insert(db, e, {recipient(0, 50)});
    }
    QueueDb db(scratch / "queue.db");
    CHECK_FALSE(db.created());
    CHECK(db.last_seq() == 3);
    for (const auto& back : {db.find(e.qid), db.load(3)}) {
        REQUIRE(back);
        CHECK(back->qid == e.qid);
        CHECK(back->source == Source::submission);
        CHECK(back->report == Report::none);
        CHECK(back->report_key.empty());
        CHECK(back->sid == "s1");
        CHECK(back->login == e.login);
        CHECK(back->reverse_path == e.reverse_path);
        CHECK(back->helo == e.helo);
        CHECK(back->client_ip == e.client_ip);
        CHECK(back->client_name == e.client_name);
        CHECK(back->protocol == e.protocol);
        CHECK(back->message_id == e.message_id);
        CHECK(back->header_from == e.header_from);
        CHECK(back->dkim_domain == e.dkim_domain);
        CHECK(back->body == 1);
        CHECK(back->smtputf8);
        CHECK(back->require_tls);
        CHECK(back->ret == "HDRS");
        CHECK(back->envid == "id");
        CHECK(back->hold_until_ms == 5);
        CHECK(back->deliver_by_ms == 6);
        CHECK(back->priority == -3);
        CHECK(back->prefix == e.prefix);
        CHECK(back->length == 5);
        CHECK(back->crc32c == e.crc32c);
        CHECK(back->accepted == e.accepted);
        CHECK(back->uptime_ms == 77);
        CHECK_FALSE(back->held);
    }
    const auto rows = db.recipients(3);
    REQUIRE(rows.size() == 1);
    const Recipient& r = rows[0].second;
    CHECK(r.original == "bob+x@example.test");
    CHECK(r.notify == "NEVER");
    CHECK(r.orcpt == "rfc822;bob@example.test");
    CHECK(r.account == Id{9, 9});
    CHECK(r.detail == "x");
    CHECK(r.next_attempt == UtcTime{50});
    CHECK_FALSE(db.find(Id{4, 4}));
}

TEST_CASE("a batch that is not committed leaves nothing") {
    Scratch scratch;
    QueueDb db(scratch / "queue.db");
    {
        QueueDb::Batch batch(db);
        REQUIRE(db.insert(envelope(1), std::array{recipient(0, 1)}));
        db.set_number("x", 7);
    }
    CHECK_FALSE(db.holds(envelope(1).qid));
    CHECK(db.number("x") == 0);
    change(db, [&] { db.set_number("x", 7); });
    change(db, [&] { db.set_number("x", 8); });
    CHECK(db.number("x") == 8);
}

TEST_CASE("the last recipient takes the envelope along") {
    Scratch scratch;
    QueueDb db(scratch / "queue.db");
    insert(db, envelope(1), {recipient(0, 1), recipient(1, 1)});
    change(db, [&] {
        CHECK_FALSE(db.finish(RecipientKey{1, 0, 0}));
        CHECK_FALSE(db.finish(RecipientKey{1, 0, 0})); // again: nothing
        CHECK(db.finish(RecipientKey{1, 1, 0}));
        CHECK_FALSE(db.finish(RecipientKey{1, 1, 0}));
    });
    CHECK_FALSE(db.holds(envelope(1).qid));
}

TEST_CASE("due recipients come in order of time, each once behind the cursor") {
    Scratch scratch;
    QueueDb db(scratch / "queue.db");
    insert(db, envelope(1), {recipient(0, 30), recipient(1, 10)});
    insert(db, envelope(2), {recipient(0, 10), recipient(1, 99)});
    auto due = db.due(DueCursor{}, UtcTime{50}, 2);
    REQUIRE(due.size() == 2);
    CHECK(due[0].key == RecipientKey{1, 1, 0});
    CHECK(due[1].key == RecipientKey{2, 0, 0});
    CHECK(due[1].qid == envelope(2).qid);
    const DueCursor cursor{due[1].recipient.next_attempt, due[1].key};
    due = db.due(cursor, UtcTime{50}, 10);
    REQUIRE(due.size() == 1);
    CHECK(due[0].key == RecipientKey{1, 0, 0});
    CHECK(db.next_due(DueCursor{UtcTime{30}, RecipientKey{1, 0, 0}}) == UtcTime{99});
    CHECK_FALSE(db.next_due(DueCursor{UtcTime{99}, RecipientKey{2, 1, 0}}));
}

TEST_CASE("what was said about an attempt is kept") {
    Scratch scratch;
    QueueDb db(scratch / "queue.db");
    insert(db, envelope(1), {recipient(0, 1)});
    Recipient r = recipient(0, 500);
    r.attempts = 3;
    r.last_attempt = UtcTime{400};
    r.status = Status{451, "4.7.1", "try later", "mx.example", true};
    change(db, [&] { db.defer(RecipientKey{1, 0, 0}, r); });
    const auto rows = db.recipients(1);
    CHECK(rows[0].second.attempts == 3);
    CHECK(rows[0].second.next_attempt == UtcTime{500});
    CHECK(rows[0].second.last_attempt == UtcTime{400});
    CHECK(rows[0].second.status.code == 451);
    CHECK(rows[0].second.status.enhanced == "4.7.1");
    CHECK(rows[0].second.status.text == "try later");
    CHECK(rows[0].second.status.host == "mx.example");
    CHECK(rows[0].second.status.from_peer);
    CHECK(db.due(DueCursor{}, UtcTime{499}, 9).empty());
    CHECK(db.due(DueCursor{}, UtcTime{500}, 9).size() == 1);
}

TEST_CASE("a held message is not due until it is released, also when an attempt ends meanwhile") {
    Scratch scratch;
    QueueDb db(scratch / "queue.db");
    insert(db, envelope(1), {recipient(0, 1)});
    change(db, [&] { db.hold(1); });
    CHECK(db.due(DueCursor{}, UtcTime{1000}, 9).empty());
    change(db, [&] { db.defer(RecipientKey{1, 0, 0}, recipient(0, 5)); });
    CHECK(db.due(DueCursor{}, UtcTime{1000}, 9).empty());
    CHECK(db.count(UtcTime{1}).held == 1);
    change(db, [&] { db.release(1, UtcTime{20}); });
    CHECK(db.due(DueCursor{}, UtcTime{1000}, 9).size() == 1);
    change(db, [&] { db.set_lost(1); });
    change(db, [&] { db.release(1, UtcTime{20}); });
    CHECK(db.due(DueCursor{}, UtcTime{1000}, 9).empty());
    CHECK(db.count(UtcTime{1}).lost == 1);
    CHECK(db.bodies_after(0).empty());
}

TEST_CASE("times far in the future are pulled in, and retry makes due at once") {
    Scratch scratch;
    QueueDb db(scratch / "queue.db");
    insert(db, envelope(1), {recipient(0, 10), recipient(1, 1'000'000)});
    change(db, [&] { CHECK(db.clamp(UtcTime{5000}) == 1); });
    CHECK(db.next_due(DueCursor{UtcTime{11}, {}}) == UtcTime{5000});
    change(db, [&] { db.retry(1, UtcTime{20}); });
    CHECK(db.due(DueCursor{}, UtcTime{20}, 9).size() == 2);
    CHECK(db.count(UtcTime{15}).deferred == 1);
}

TEST_CASE("a report is written once for its key") {
    Scratch scratch;
    QueueDb db(scratch / "queue.db");
    Envelope e = envelope(1);
    e.source = Source::queue;
    e.report = Report::failure;
    e.report_key = "failure/1";
    insert(db, e, {recipient(0, 1)});
    e.seq = 2;
    e.qid = Id{5, 5};
    change(db, [&] { CHECK_FALSE(db.insert(e, std::array{recipient(0, 1)})); });
    CHECK_FALSE(db.holds(e.qid));
    CHECK(db.recipients(2).empty());
    CHECK(db.load(1)->report == Report::failure);
}

TEST_CASE("scanning goes on behind the last row") {
    Scratch scratch;
    QueueDb db(scratch / "queue.db");
    insert(db, envelope(1), {recipient(0, 1), recipient(1, 1)});
    insert(db, envelope(2), {recipient(0, 1)});
    std::vector<RecipientKey> seen;
    const auto visit = [&](const Listed& row) {
        seen.push_back(row.key);
        CHECK(row.reverse_path == "alice@example.test");
        return true;
    };
    const auto more = db.scan(RecipientKey{}, 2, visit);
    REQUIRE(more);
    CHECK(*more == RecipientKey{1, 1, 0});
    CHECK_FALSE(db.scan(*more, 2, visit));
    CHECK(seen.size() == 3);
    change(db, [&] { db.remove(1); });
    seen.clear();
    CHECK_FALSE(db.scan(RecipientKey{}, 10, visit));
    CHECK(seen == std::vector{RecipientKey{2, 0, 0}});
}

TEST_CASE("due recipients are read through their index, without sorting") {
    Scratch scratch;
    QueueDb db(scratch / "queue.db");
    db::Statement plan = db.database().prepare(
        "EXPLAIN QUERY PLAN SELECT r.seq FROM recipient r JOIN entry e ON e.seq=r.seq"
        " WHERE r.next_attempt IS NOT NULL AND r.next_attempt<=?1 AND"
        " (r.next_attempt,r.seq,r.rcpt_no,r.action_no)>(?2,?3,?4,?5)"
        " ORDER BY r.next_attempt,r.seq,r.rcpt_no,r.action_no LIMIT ?6");
    std::string text;
    while (plan.step())
        text += std::string(plan.text(3)) + "\n";
    INFO(text);
    CHECK(text.find("recipient_due") != std::string::npos);
    CHECK(text.find("TEMP B-TREE") == std::string::npos);
}

TEST_CASE("a number that stands for nothing is damage") {
    Scratch scratch;
    QueueDb db(scratch / "queue.db");
    const Recipient bob = recipient(0, 100);
    REQUIRE(db.insert(envelope(1), {&bob, 1}));
    SECTION("a kind of recipient") {
        db.database().run("UPDATE recipient SET kind=3");
        CHECK_THROWS_AS(db.recipients(1), db::DbError);
        CHECK_THROWS_AS(db.due({}, UtcTime{1000}, 10), db::DbError);
    }
    SECTION("a source") {
        db.database().run("UPDATE entry SET source=-1");
        CHECK_THROWS_AS(db.load(1), db::DbError);
    }
    SECTION("a report") {
        db.database().run("UPDATE entry SET report=260"); // not 4, which it is modulo 256
        CHECK_THROWS_AS(db.find(Id{1, 1}), db::DbError);
    }
}

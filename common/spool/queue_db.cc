#include "common/spool/queue_db.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/spool/schema.h"

#include <unistd.h>

namespace tambo::spool {

namespace {

db::OpenOptions options() {
    db::OpenOptions options;
    options.sync = db::Sync::normal; // durable with the syncer's barrier
    options.cache_kib = 4096;
    return options;
}

// A number that stands for one of ours; any other is damage, not something to go on with.
template <class E>
E one_of(const db::Statement& row, int column) {
    const int64_t number = row.integer(column);
    if (number < 0 || number > static_cast<int64_t>(E::last_)) {
        throw db::DbError(db::DbError::Kind::corrupt, 0,
                          cat("queue.db: damaged: ", number, " stands for nothing"));
    }
    return static_cast<E>(number);
}

constexpr std::string_view kEntryColumns =
    "seq,qid,source,report,report_key,sid,login,reverse_path,helo,client_ip,client_name,protocol,"
    "message_id,header_from,dkim_domain,body,smtputf8,require_tls,ret,envid,hold_until,deliver_by,"
    "priority,prefix,length,crc32c,accepted,uptime,held,lost,notified";

// The columns of kEntryColumns, in their order.
Envelope read_envelope(const db::Statement& row) {
    Envelope e;
    e.seq = row.integer(0);
    e.qid = row.id(1);
    e.source = one_of<Source>(row, 2);
    e.report = one_of<Report>(row, 3);
    int column = 4;
    for (std::string* text :
         {&e.report_key, &e.sid, &e.login, &e.reverse_path, &e.helo, &e.client_ip, &e.client_name,
          &e.protocol, &e.message_id, &e.header_from, &e.dkim_domain}) {
        *text = row.text(column++);
    }
    e.body = static_cast<uint8_t>(row.integer(15));
    e.smtputf8 = row.integer(16) != 0;
    e.require_tls = row.integer(17) != 0;
    e.ret = row.text(18);
    e.envid = row.text(19);
    e.hold_until_ms = row.integer(20);
    e.deliver_by_ms = row.integer(21);
    e.priority = static_cast<int8_t>(row.integer(22));
    e.prefix = row.blob(23);
    e.length = static_cast<uint64_t>(row.integer(24));
    e.crc32c = static_cast<uint32_t>(row.integer(25));
    e.accepted.ms = row.integer(26);
    e.uptime_ms = row.integer(27);
    e.held = row.integer(28) != 0;
    e.lost = row.integer(29) != 0;
    e.notified = row.integer(30) != 0;
    return e;
}

// First in every SELECT below, from the table recipient r.
constexpr std::string_view kRecipientColumns =
    "r.seq,r.rcpt_no,r.action_no,r.original,r.notify,r.orcpt,r.kind,r.account,r.address,r.detail,"
    "r.destination,r.attempts,r.next_attempt,r.last_attempt,r.code,r.enhanced,r.text,r.host,"
    "r.from_peer";
constexpr int kBehindRecipient = 19; // the first column after those

RecipientKey read_key(const db::Statement& row) {
    return RecipientKey{row.integer(0), static_cast<uint32_t>(row.integer(1)),
                        static_cast<uint32_t>(row.integer(2))};
}

Recipient read_recipient(const db::Statement& row) {
    Recipient r;
    r.rcpt_no = static_cast<uint32_t>(row.integer(1));
    r.action_no = static_cast<uint32_t>(row.integer(2));
    r.original = row.text(3);
    r.notify = row.text(4);
    r.orcpt = row.text(5);
    r.kind = one_of<Kind>(row, 6);
    r.account = row.id(7);
    r.address = row.text(8);
    r.detail = row.text(9);
    r.destination = row.text(10);
    r.attempts = static_cast<uint32_t>(row.integer(11));
    r.next_attempt.ms = row.integer(12);
    r.last_attempt.ms = row.integer(13);
    r.status.code = static_cast<uint16_t>(row.integer(14));
    r.status.enhanced = row.text(15);
    r.status.text = row.text(16);
    r.status.host = row.text(17);
    r.status.from_peer = row.integer(18) != 0;
    return r;
}

std::optional<std::string_view> null_if_empty(std::string_view text) {
    if (text.empty()) return std::nullopt;
    return text;
}

std::optional<int64_t> time_or_null(bool waits, UtcTime time) {
    if (!waits) return std::nullopt;
    return time.ms;
}

} // namespace

QueueDb::QueueDb(const std::string& path)
    : created_(::access(path.c_str(), F_OK) != 0), database_(path, kQueueDatabase, options()) {}

int64_t QueueDb::number(std::string_view name) {
    return database_.integer("SELECT value FROM number WHERE name=?", name).value_or(0);
}

void QueueDb::set_number(std::string_view name, int64_t value) {
    database_.run("INSERT INTO number(name,value) VALUES(?1,?2)"
                  " ON CONFLICT(name) DO UPDATE SET value=?2",
                  name, value);
}

bool QueueDb::insert(const Envelope& e, std::span<const Recipient> recipients) {
    check(e.seq > 0 && !e.qid.is_nil() && !recipients.empty(), "an envelope without identity");
    if (!e.report_key.empty() &&
        database_.integer("SELECT 1 FROM entry WHERE report_key=?", e.report_key)) {
        return false;
    }
    database_.run(
        "INSERT INTO entry VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        e.seq, e.qid, static_cast<int>(e.source), static_cast<int>(e.report),
        null_if_empty(e.report_key), e.sid, e.login, e.reverse_path, e.helo, e.client_ip,
        e.client_name, e.protocol, e.message_id, e.header_from, e.dkim_domain, e.body, e.smtputf8,
        e.require_tls, e.ret, e.envid, e.hold_until_ms, e.deliver_by_ms, e.priority,
        db::Blob{e.prefix}, static_cast<int64_t>(e.length), e.crc32c, e.accepted.ms, e.uptime_ms,
        e.held, e.lost, e.notified);
    db::Statement row =
        database_.prepare("INSERT INTO recipient VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    for (const Recipient& r : recipients) {
        row.bind_all(e.seq, r.rcpt_no, r.action_no, r.original, r.notify, r.orcpt,
                     static_cast<int>(r.kind), r.account, r.address, r.detail, r.destination,
                     r.attempts, time_or_null(!e.held && !e.lost, r.next_attempt),
                     r.last_attempt.ms, r.status.code, r.status.enhanced, r.status.text,
                     r.status.host, r.status.from_peer);
        row.run();
    }
    return true;
}

bool QueueDb::finish(const RecipientKey& key) {
    database_.run("DELETE FROM recipient WHERE seq=? AND rcpt_no=? AND action_no=?", key.seq,
                  key.rcpt_no, key.action_no);
    if (database_.changes() == 0) return false;
    database_.run("DELETE FROM entry WHERE seq=?1"
                  " AND NOT EXISTS (SELECT 1 FROM recipient WHERE seq=?1)",
                  key.seq);
    return database_.changes() > 0;
}

void QueueDb::defer(const RecipientKey& key, const Recipient& r) {
    database_.run(
        "UPDATE recipient SET attempts=?4,last_attempt=?5,code=?6,enhanced=?7,text=?8,host=?9,"
        "from_peer=?10,next_attempt=CASE WHEN (SELECT held OR lost FROM entry WHERE seq=?1)"
        " THEN NULL ELSE ?11 END WHERE seq=?1 AND rcpt_no=?2 AND action_no=?3",
        key.seq, key.rcpt_no, key.action_no, r.attempts, r.last_attempt.ms, r.status.code,
        r.status.enhanced, r.status.text, r.status.host, r.status.from_peer, r.next_attempt.ms);
}

void QueueDb::set_notified(int64_t seq) {
    database_.run("UPDATE entry SET notified=1 WHERE seq=?", seq);
}

void QueueDb::set_lost(int64_t seq) {
    database_.run("UPDATE entry SET lost=1 WHERE seq=? AND NOT lost", seq);
    if (database_.changes() == 0) return; // known: not all its rows again for each of them
    database_.run("UPDATE recipient SET next_attempt=NULL WHERE seq=?", seq);
}

void QueueDb::hold(int64_t seq) {
    database_.run("UPDATE entry SET held=1 WHERE seq=?", seq);
    database_.run("UPDATE recipient SET next_attempt=NULL WHERE seq=?", seq);
}

void QueueDb::release(int64_t seq, UtcTime now) {
    database_.run("UPDATE entry SET held=0 WHERE seq=?", seq);
    database_.run("UPDATE recipient SET next_attempt=?2 WHERE seq=?1 AND next_attempt IS NULL"
                  " AND (SELECT NOT lost FROM entry WHERE seq=?1)",
                  seq, now.ms);
}

void QueueDb::retry(int64_t seq, UtcTime now) {
    database_.run("UPDATE recipient SET next_attempt=?2 WHERE seq=?1 AND next_attempt>?2", seq,
                  now.ms);
}

void QueueDb::remove(int64_t seq) {
    database_.run("DELETE FROM recipient WHERE seq=?", seq);
    database_.run("DELETE FROM entry WHERE seq=?", seq);
}

int64_t QueueDb::clamp(UtcTime latest) {
    database_.run("UPDATE recipient SET next_attempt=?1 WHERE next_attempt>?1", latest.ms);
    return database_.changes();
}

std::optional<Envelope> QueueDb::find(const Id& qid) {
    static const std::string sql = cat("SELECT ", kEntryColumns, " FROM entry WHERE qid=?");
    db::Statement row = database_.prepare(sql);
    row.bind_all(qid);
    if (!row.step()) return std::nullopt;
    return read_envelope(row);
}

std::optional<Envelope> QueueDb::load(int64_t seq) {
    static const std::string sql = cat("SELECT ", kEntryColumns, " FROM entry WHERE seq=?");
    db::Statement row = database_.prepare(sql);
    row.bind_all(seq);
    if (!row.step()) return std::nullopt;
    return read_envelope(row);
}

std::vector<std::pair<RecipientKey, Recipient>> QueueDb::recipients(int64_t seq) {
    static const std::string sql =
        cat("SELECT ", kRecipientColumns, " FROM recipient r WHERE r.seq=?");
    db::Statement row = database_.prepare(sql);
    row.bind_all(seq);
    std::vector<std::pair<RecipientKey, Recipient>> all;
    while (row.step())
        all.emplace_back(read_key(row), read_recipient(row));
    return all;
}

std::vector<Due> QueueDb::due(const DueCursor& after, UtcTime now, size_t limit) {
    static const std::string sql =
        cat("SELECT ", kRecipientColumns, ",e.qid FROM recipient r JOIN entry e ON e.seq=r.seq",
            " WHERE r.next_attempt IS NOT NULL AND r.next_attempt<=?1 AND",
            " (r.next_attempt,r.seq,r.rcpt_no,r.action_no)>(?2,?3,?4,?5)",
            " ORDER BY r.next_attempt,r.seq,r.rcpt_no,r.action_no LIMIT ?6");
    db::Statement row = database_.prepare(sql);
    row.bind_all(now.ms, after.time.ms, after.key.seq, after.key.rcpt_no, after.key.action_no,
                 limit);
    std::vector<Due> all;
    while (row.step()) {
        all.push_back(Due{read_key(row), row.id(kBehindRecipient), read_recipient(row)});
    }
    return all;
}

std::optional<UtcTime> QueueDb::next_due(const DueCursor& after) {
    const auto time =
        database_.integer("SELECT next_attempt FROM recipient WHERE next_attempt IS NOT NULL AND"
                          " (next_attempt,seq,rcpt_no,action_no)>(?1,?2,?3,?4)"
                          " ORDER BY next_attempt,seq,rcpt_no,action_no LIMIT 1",
                          after.time.ms, after.key.seq, after.key.rcpt_no, after.key.action_no);
    if (!time) return std::nullopt;
    return UtcTime{*time};
}

std::vector<BodyFacts> QueueDb::bodies_after(int64_t after) {
    db::Statement row = database_.prepare(
        "SELECT seq,qid,length,crc32c FROM entry WHERE seq>? AND NOT lost ORDER BY seq");
    row.bind_all(after);
    std::vector<BodyFacts> all;
    while (row.step()) {
        all.push_back(BodyFacts{row.integer(0), row.id(1), static_cast<uint64_t>(row.integer(2)),
                                static_cast<uint32_t>(row.integer(3))});
    }
    return all;
}

bool QueueDb::holds(const Id& qid) {
    return database_.integer("SELECT 1 FROM entry WHERE qid=?", qid).has_value();
}

int64_t QueueDb::last_seq() {
    return database_.integer("SELECT max(seq) FROM entry").value_or(0);
}

Counts QueueDb::count(UtcTime now) {
    Counts counts;
    {
        db::Statement row =
            database_.prepare("SELECT count(*),total(held),total(lost),min(accepted) FROM entry");
        if (row.step()) {
            counts.messages = row.integer(0);
            counts.held = row.integer(1);
            counts.lost = row.integer(2);
            if (!row.is_null(3)) counts.oldest = UtcTime{row.integer(3)};
        }
    }
    counts.recipients = database_.integer("SELECT count(*) FROM recipient").value_or(0);
    counts.deferred =
        database_.integer("SELECT count(*) FROM recipient WHERE next_attempt>?", now.ms)
            .value_or(0);
    return counts;
}

std::optional<UtcTime> QueueDb::oldest() {
    const auto ms = database_.integer("SELECT accepted FROM entry ORDER BY seq LIMIT 1");
    if (!ms) return std::nullopt;
    return UtcTime{*ms};
}

std::optional<RecipientKey> QueueDb::scan(const RecipientKey& after,
                                          size_t limit,
                                          const std::function<bool(const Listed&)>& visit) {
    static const std::string sql = cat(
        "SELECT ", kRecipientColumns, ",e.qid,e.accepted,e.length,e.reverse_path,e.held,e.lost",
        " FROM recipient r JOIN entry e ON e.seq=r.seq",
        " WHERE (r.seq,r.rcpt_no,r.action_no)>(?1,?2,?3)", " ORDER BY r.seq,r.rcpt_no,r.action_no");
    db::Statement row = database_.prepare(sql);
    row.bind_all(after.seq, after.rcpt_no, after.action_no);
    for (size_t scanned = 0; row.step(); ++scanned) {
        Listed listed;
        listed.key = read_key(row);
        listed.recipient = read_recipient(row);
        listed.qid = row.id(kBehindRecipient);
        listed.accepted.ms = row.integer(kBehindRecipient + 1);
        listed.length = static_cast<uint64_t>(row.integer(kBehindRecipient + 2));
        listed.reverse_path = row.text(kBehindRecipient + 3);
        listed.held = row.integer(kBehindRecipient + 4) != 0;
        listed.lost = row.integer(kBehindRecipient + 5) != 0;
        if (!visit(listed) || scanned + 1 >= limit) return listed.key;
    }
    return std::nullopt;
}

} // namespace tambo::spool

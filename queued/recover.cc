#include "queued/recover.h"

#include "common/base/text.h"
#include "common/sys/log.h"

#include <algorithm>
#include <system_error>

namespace tambo::queued {

namespace {

constexpr int64_t kSweepPauseMs = 5;
constexpr unsigned kSweepBuckets = 8; // at a time

void check_database(spool::QueueDb& db) {
    if (db.number("clean") == 1) return;
    const auto problems = db.database().check_integrity(false);
    if (problems.empty()) return;
    throw db::DbError(db::DbError::Kind::corrupt, 0,
                      cat(db.database().path(), ": damaged: ", problems.front()));
}

// Whether the body is there in full; a partial one is set aside.
bool has_body(spool::Directory& spool, const spool::BodyFacts& facts) {
    const auto body = spool.open_body(facts.qid);
    if (!body) return false;
    if (spool::digest_of(body->get()) == spool::Digest{facts.length, facts.crc32c}) return true;
    spool.set_aside(facts.qid);
    return false;
}

void remove_behind_barrier(spool::Directory& spool, Committer& committer, std::vector<Id> bodies) {
    Change change;
    change.durable = [&spool, bodies = std::move(bodies)] {
        for (const Id& qid : bodies)
            spool.remove(qid);
    };
    committer.record(std::move(change), Urgency::lazy);
}

} // namespace

Recovered recover(spool::Directory& spool,
                  spool::QueueDb& db,
                  Disk& disk,
                  UtcTime now,
                  int64_t retry_max_ms,
                  uint32_t boot_epoch) {
    check_database(db);
    Recovered recovered;
    const int64_t last_seq = db.last_seq();
    std::vector<int64_t> incomplete;
    for (const auto& facts : db.bodies_after(db.number("durable"))) {
        if (has_body(spool, facts)) {
            recovered.last.push_back(facts.qid);
            continue;
        }
        incomplete.push_back(facts.seq);
        log::Event("queue.unacknowledged", log::Level::warning)
            .qid(facts.qid)
            .with("reason", "its body was not complete when the last process ended");
    }
    // What survived until here may have done so in memory only.
    disk.sync_filesystem();
    const auto before = static_cast<uint32_t>(db.number("epoch"));
    recovered.epoch = std::max(before + 1, boot_epoch);
    recovered.durable_seq = std::max(last_seq, db.number("durable"));
    {
        db::Transaction transaction(db.database(), db::Sync::full);
        for (const int64_t seq : incomplete)
            db.remove(seq);
        const int64_t clamped = db.clamp(UtcTime{now.ms + retry_max_ms});
        if (clamped > 0) log::Event("queue.times_pulled_in").with("recipients", clamped);
        db.set_number("epoch", recovered.epoch);
        db.set_number("durable", recovered.durable_seq);
        db.set_number("clean", 0);
        transaction.commit();
    }
    db.database().set_sync(db::Sync::normal);
    const auto counts = db.count(now);
    log::Event("queue.recovered")
        .with("messages", counts.messages)
        .with("recipients", counts.recipients)
        .with("unacknowledged", static_cast<int64_t>(incomplete.size()))
        .with("epoch", recovered.epoch);
    return recovered;
}

task<> sweep(Nursery& nursery,
             spool::Directory& spool,
             spool::QueueDb& db,
             Committer& committer,
             uint32_t epoch) {
    int64_t removed = 0, kept = 0;
    for (unsigned bucket = 0; bucket < spool::kBuckets; ++bucket) {
        std::vector<Id> orphans;
        for (const Id& qid : spool.bodies(bucket)) {
            // Those of this process belong to transactions that are open.
            if (qid.high >> 32 >= epoch || db.holds(qid)) continue;
            if (db.created()) {
                spool.set_aside(qid);
                ++kept;
            } else {
                orphans.push_back(qid);
                ++removed;
            }
        }
        if (!orphans.empty()) remove_behind_barrier(spool, committer, std::move(orphans));
        if (bucket % kSweepBuckets != 0) continue;
        co_await sleep_ms(nursery, kSweepPauseMs);
    }
    if (removed + kept == 0) co_return;
    log::Event("queue.swept", kept > 0 ? log::Level::error : log::Level::notice)
        .with("removed", removed)
        .with("set_aside", kept);
}

void mark_clean(spool::QueueDb& db, int64_t durable_seq, int64_t uptime_ms) {
    db::Transaction transaction(db.database(), db::Sync::full);
    db.set_number("durable", durable_seq);
    db.set_number("uptime", uptime_ms);
    db.set_number("clean", 1);
    transaction.commit();
}

} // namespace tambo::queued

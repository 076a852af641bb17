// What happens at start, before anybody is served, and the sweep beside afterwards. The states that
// a crash can leave, and what becomes of them:
//
//   row and complete body      the message is in the queue; deliveries that were under way are
//                              offered again, their keys make them known
//   row, no or partial body    only in the last batches, which were never acknowledged: the row
//                              goes, a partial body is set aside
//   body without row           never acknowledged, or finished: removed (set aside if queue.db was
//                              lost and made anew)
//
// Only messages behind the durable mark are read, so that a long queue starts quickly.
// RULES.md R21, R22, R23, R24.
#pragma once

#include "common/base/time.h"
#include "common/event/nursery.h"
#include "common/spool/directory.h"
#include "common/spool/queue_db.h"
#include "queued/committer.h"
#include "queued/disk.h"

#include <cstdint>
#include <vector>

namespace tambo::queued {

struct Recovered {
    uint32_t epoch = 0;      // of this process, durable: for queue ids
    int64_t durable_seq = 0; // all rows up to it are durable
    std::vector<Id> last;    // of the last batches: smtpd may still ask about them
};

// Throws db::DbError (also of a damaged queue.db), std::system_error.
Recovered recover(spool::Directory& spool,
                  spool::QueueDb& db,
                  Disk& disk,
                  UtcTime now,
                  int64_t retry_max_ms,
                  uint32_t boot_epoch);

// Removes bodies of former processes that no row refers to, a bucket at a time. Deliveries go on
// meanwhile: a row that has just gone may come back until the next barrier, and its body must be
// there then (RULES.md R8).
task<> sweep(Nursery& nursery,
             spool::Directory& spool,
             spool::QueueDb& db,
             Committer& committer,
             uint32_t epoch);

// The last words of a clean shutdown: nothing is under way.
void mark_clean(spool::QueueDb& db, int64_t durable_seq, int64_t uptime_ms);

} // namespace tambo::queued

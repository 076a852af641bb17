// Deferred work: folding, purging, pruning, the log, the daily snapshot.
#include "common/base/text.h"
#include "common/store/layout.h"
#include "common/store/mailbox_editor.h"
#include "common/store/sqlite_account.h"
#include "common/sys/file.h"

#include <cerrno>
#include <cstdio>

namespace tambo::store {

namespace {

constexpr uint32_t kFoldAbove = 64; // deltas of a mailbox that are worth folding when idle
constexpr size_t kPurgeAtOnce = 256;
constexpr int64_t kTombstoneRows = 4096; // of a mailbox; beyond, the older half is forgotten
constexpr int64_t kLogPagesIdle = 64;
constexpr int kVacuumPages = 64;

} // namespace

// Mailboxes with many changes, or all that are loaded. True if something was done.
bool SqliteAccount::fold_some(bool all) {
    bool done = false;
    for (const auto& [name, row] : index_.rows()) {
        if (row->deltas == 0 || (row->deltas < kFoldAbove && !all)) continue;
        index_.fold(*index_.load(*row));
        done = true;
    }
    return done;
}

void SqliteAccount::prune_tombstones(Row& row) {
    row.has_tombstones = false;
    const auto count =
        index_.db().integer("SELECT count(*) FROM tombstone WHERE mailbox=?", row.id).value_or(0);
    if (count <= kTombstoneRows) return;
    const auto floor = index_.db().integer(
        "SELECT modseq FROM tombstone WHERE mailbox=? ORDER BY modseq LIMIT 1 OFFSET ?", row.id,
        kTombstoneRows / 2);
    if (!floor) return;
    db::Transaction transaction(index_.db(), db::Sync::normal);
    index_.mark_dirty();
    MailboxStatus status = row.status;
    status.tombstone_floor = static_cast<uint64_t>(*floor);
    index_.db().run("DELETE FROM tombstone WHERE mailbox=? AND modseq<=?", row.id, *floor);
    index_.update_row(row, status, row.uid_reserved);
    transaction.commit();
    row.status = status;
    if (const auto loaded = row.loaded.lock()) MailboxEditor(*loaded).set_status(status);
}

Outcome<bool> SqliteAccount::tidy() {
    return changing([&]() -> Outcome<bool> {
        if (fold_some(false)) return true;
        const UtcTime before{index_.now().ms - index_.options().unlink_delay_ms};
        if (purge_dead(index_, before, kPurgeAtOnce, pins_)) return true;
        for (const auto& [name, row] : index_.rows()) {
            if (row->has_tombstones) prune_tombstones(*row);
        }
        if (prune_delivered()) return true;
        index_.db().incremental_vacuum(kVacuumPages);
        if (index_.db().wal_pages() > kLogPagesIdle) index_.db().checkpoint();
        return false;
    });
}

void SqliteAccount::release_memory() {
    index_.db().release_memory();
}

Outcome<Done> SqliteAccount::snapshot() {
    return changing([&]() -> Outcome<Done> {
        const std::string fresh = cat(dir_, "/snapshot.new");
        const std::string current = cat(dir_, '/', kSnapshotFile);
        const std::string old = cat(dir_, '/', kOldSnapshotFile);
        ::unlink(fresh.c_str());
        index_.db().backup_to(fresh);
        if (::rename(current.c_str(), old.c_str()) != 0 && errno != ENOENT) {
            throw std::system_error(errno, std::generic_category(), current);
        }
        if (::rename(fresh.c_str(), current.c_str()) != 0) {
            throw std::system_error(errno, std::generic_category(), fresh);
        }
        sync_directory(dir_);
        return Done{};
    });
}

} // namespace tambo::store

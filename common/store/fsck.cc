// What surrounds the checks: opening what is perhaps no database any more, and putting a snapshot
// in its place. The damaged index is kept beside it under another name, never deleted.
#include "common/store/fsck.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/base/unique_fd.h"
#include "common/store/checker.h"
#include "common/store/layout.h"
#include "common/store/sqlite_account.h"
#include "common/sys/error.h"
#include "common/sys/file.h"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

namespace tambo::store {

namespace {

constexpr std::string_view kRestoreFile = "index.restore";
constexpr std::string_view kDamagedFile = "index.damaged";

[[noreturn]] void fail(const std::string& path) {
    throw std::system_error(errno, std::generic_category(), path);
}

void copy_file(const std::string& from, const std::string& to) {
    const UniqueFd in(::open(from.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!in) fail(from);
    const UniqueFd out(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!out) fail(to);
    for (;;) {
        const ssize_t sent = ::sendfile(out.get(), in.get(), nullptr, 1 << 20);
        if (sent < 0) fail(to);
        if (sent == 0) break;
    }
    if (::fsync(out.get()) != 0) fail(to);
}

void rename_if_there(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0 && errno != ENOENT) fail(from);
}

bool exists(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

// True if the file is a sound index. It is opened as one: its log, if any, becomes part of it.
bool is_sound(const std::string& path) {
    try {
        db::OpenOptions options;
        options.create = false;
        db::Database database(path, kSchema, options);
        return database.check_integrity(true).empty() && database.checkpoint_truncate();
    } catch (const db::DbError& error) {
        // Whether a snapshot is sound is only known when it could be looked at.
        const bool looked = error.kind() == db::DbError::Kind::corrupt ||
                            error.kind() == db::DbError::Kind::incompatible;
        if (!looked) throw;
        return false;
    }
}

// Puts the newest sound snapshot in the place of the index, or nothing. Returns its name.
std::string restore(const std::string& dir) {
    const std::string fresh = cat(dir, '/', kRestoreFile), index = cat(dir, '/', kIndexFile);
    const std::string damaged = cat(dir, '/', kDamagedFile);
    std::string from;
    for (const auto name : {kSnapshotFile, kOldSnapshotFile}) {
        const std::string snapshot = cat(dir, '/', name);
        if (!exists(snapshot)) continue;
        ::unlink((fresh + "-wal").c_str());
        copy_file(snapshot, fresh);
        if (!is_sound(fresh)) continue;
        from = name;
        break;
    }
    // The log first: beside another file it would be read into that.
    rename_if_there(index + "-wal", damaged + "-wal");
    rename_if_there(index, damaged);
    ::unlink((fresh + "-wal").c_str());
    if (!from.empty()) rename_if_there(fresh, index);
    sync_directory(dir);
    return from;
}

void add_damage(FsckReport& report, std::string subject, bool repaired) {
    ++report.findings_total;
    report.findings.push_back(FsckFinding{FsckKind::index_damaged, escape(subject), repaired});
}

Refusal refusal_of(int error) {
    if (error == ENOSPC) return Refusal::disk_full;
    return is_storage_error(error) ? Refusal::io_error : Refusal::unavailable;
}

Refusal refusal_of(const db::DbError& error) {
    switch (error.kind()) {
    case db::DbError::Kind::unavailable:
        return Refusal::unavailable;
    case db::DbError::Kind::busy:
        return Refusal::busy;
    case db::DbError::Kind::incompatible:
        return Refusal::incompatible;
    case db::DbError::Kind::full:
        return Refusal::disk_full;
    case db::DbError::Kind::io:
        return Refusal::io_error;
    default:
        return Refusal::corrupt;
    }
}

// One round over an account that nobody has open. Throws DbError(corrupt) if the index is damaged.
void check_closed(const std::string& dir,
                  int dir_fd,
                  const FsckOptions& options,
                  FsckReport& report,
                  bool restored) {
    Options store = options.store;
    store.read_only = !options.repair;
    if (!options.repair && !exists(cat(dir, '/', kIndexFile))) {
        throw db::DbError(db::DbError::Kind::corrupt, 0, "index.db is missing");
    }
    Index index(dir, dir_fd, store);
    const auto problems = index.db().check_integrity(true);
    if (!problems.empty()) throw_corrupt(index.db(), problems.front());
    index.take_epoch();
    index.make_defaults();
    FsckOptions adapted = options;
    if (restored) {
        index.renew_uidvalidities();
        adapted.orphan_age_ms = INT64_MIN; // what came since the snapshot counts as lost, too
    }
    Checker(index, adapted, report).run();
    if (!options.repair) return;
    index.close();
    index.db().checkpoint();
}

} // namespace

std::string_view text_of(FsckKind kind) {
    switch (kind) {
    case FsckKind::index_damaged:
        return "index damaged";
    case FsckKind::counter_wrong:
        return "counters wrong";
    case FsckKind::entry_invalid:
        return "message without content";
    case FsckKind::reference_wrong:
        return "reference count wrong";
    case FsckKind::body_missing:
        return "body missing";
    case FsckKind::body_size_wrong:
        return "body size wrong";
    case FsckKind::body_orphan:
        return "body without message";
    case FsckKind::foreign_file:
        return "foreign file";
    }
    return "?";
}

Outcome<FsckReport> fsck(const std::string& dir, const FsckOptions& options) {
    check(options.store.clock && options.store.new_id, "fsck needs clock and ids");
    const UniqueFd fd(::open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) return Err{Refusal::nonexistent};
        return Err{refusal_of(errno)};
    }
    FsckReport report;
    try {
        bool restored = options.repair && !exists(cat(dir, '/', kIndexFile));
        if (restored) {
            add_damage(report, "index.db is missing", true);
            report.restored_from = restore(dir);
        }
        for (;;) {
            try {
                check_closed(dir, fd.get(), options, report, restored);
                return report;
            } catch (const db::DbError& error) {
                if (refusal_of(error) != Refusal::corrupt) throw;
                const bool may_restore = options.repair && !restored;
                report = FsckReport{};
                add_damage(report, error.what(), may_restore);
                report.usable = false;
                if (!may_restore) return report;
                report.restored_from = restore(dir);
                report.usable = true;
                restored = true;
            }
        }
    } catch (const db::DbError& error) {
        return Err{refusal_of(error)};
    } catch (const std::system_error& error) {
        return Err{refusal_of(error.code().value())};
    }
}

Outcome<FsckReport> fsck(Account& account, const FsckOptions& options) {
    auto& store = static_cast<SqliteAccount&>(account);
    FsckReport report;
    try {
        const auto problems = store.index().db().check_integrity(true);
        for (const std::string& problem : problems)
            add_damage(report, problem, false);
        report.usable = problems.empty();
        if (report.usable) Checker(store.index(), options, report).run();
        return report;
    } catch (const db::DbError& error) {
        return Err{store.note(error)};
    } catch (const std::system_error& error) {
        return Err{store.note(error)};
    }
}

} // namespace tambo::store

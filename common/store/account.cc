#include "common/store/account.h"

#include "common/base/check.h"
#include "common/store/layout.h"
#include "common/store/sqlite_account.h"
#include "common/sys/error.h"

#include <fcntl.h>

#include <cerrno>

namespace tambo::store {

namespace {

constexpr int64_t kLogPagesKept = 128; // a shorter one is left to the next opening
constexpr int64_t kLogPagesMax = 2048; // 8 MiB, then it is copied into the file
constexpr uint32_t kDeltasMax = 1024;  // of one mailbox, then they are folded
constexpr uint64_t kDeltaBytesMax = 4u << 20;

Refusal refusal_of(db::DbError::Kind kind) {
    switch (kind) {
    case db::DbError::Kind::io:
        return Refusal::io_error;
    case db::DbError::Kind::full:
        return Refusal::disk_full;
    case db::DbError::Kind::unavailable:
        return Refusal::unavailable;
    case db::DbError::Kind::busy:
        return Refusal::busy;
    case db::DbError::Kind::read_only:
        return Refusal::read_only;
    case db::DbError::Kind::incompatible:
        return Refusal::incompatible;
    case db::DbError::Kind::corrupt:
    case db::DbError::Kind::constraint: // the index contradicts what memory knows
    case db::DbError::Kind::other:
        break;
    }
    return Refusal::corrupt;
}

} // namespace

Outcome<std::unique_ptr<Account>> Account::open(const std::string& dir, Options options) {
    check(options.clock && options.new_id, "an account needs clock and ids");
    UniqueFd fd(::open(dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) {
        if (errno == ENOENT || errno == ENOTDIR) return Err{Refusal::nonexistent};
        return Err{is_storage_error(errno) ? Refusal::io_error : Refusal::unavailable};
    }
    try {
        return std::unique_ptr<Account>(
            std::make_unique<SqliteAccount>(dir, std::move(fd), options));
    } catch (const db::DbError& error) {
        return Err{refusal_of(error.kind())};
    }
}

SqliteAccount::SqliteAccount(const std::string& dir, UniqueFd dir_fd, const Options& options)
    : dir_fd_(std::move(dir_fd)), dir_(dir), index_(dir, dir_fd_.get(), options),
      quota_(options.quota) {
    index_.take_epoch();
    index_.make_defaults();
    index_.db().set_sync(db::Sync::normal);
}

SqliteAccount::~SqliteAccount() {
    close();
}

void SqliteAccount::close() {
    if (closed_) return;
    closed_ = true;
    kept_.clear();
    if (read_only()) return;
    try {
        fold_some(false);
        index_.close();
        // A short log is left to the next opening, which reads it: no sync at each closing.
        if (index_.db().wal_pages() > kLogPagesKept) index_.db().checkpoint();
    } catch (const db::DbError& error) {
        note(error);
    }
}

Refusal SqliteAccount::note(const db::DbError& error) {
    const Refusal refusal = refusal_of(error.kind());
    if (refusal == Refusal::io_error || refusal == Refusal::corrupt) failure_ = refusal;
    return refusal;
}

Refusal SqliteAccount::note(const std::system_error& error) {
    const int code = error.code().value();
    if (code == ENOSPC || code == EDQUOT) return Refusal::disk_full;
    if (!is_storage_error(code)) return Refusal::unavailable;
    failure_ = Refusal::io_error;
    return Refusal::io_error;
}

// The change is durable already: what goes wrong here concerns the next one.
void SqliteAccount::keep_short() {
    try {
        for (const auto& [name, row] : index_.rows()) {
            if (row->deltas < kDeltasMax && row->delta_bytes < kDeltaBytesMax) continue;
            index_.fold(*index_.load(*row));
        }
        if (index_.db().wal_pages() > kLogPagesMax) index_.db().checkpoint();
    } catch (const db::DbError& error) {
        note(error);
    }
}

bool SqliteAccount::lock_maildrop() {
    if (maildrop_locked_) return false;
    maildrop_locked_ = true;
    return true;
}

void SqliteAccount::unpin(uint32_t content) {
    const auto found = pins_.find(content);
    check(found != pins_.end(), "unpin of what is pinned");
    if (--found->second == 0) pins_.erase(found);
}

std::optional<Refusal>
SqliteAccount::quota_refusal(const Usage& usage, uint64_t bytes, uint64_t messages) const {
    if (quota_.bytes != 0 && usage.bytes + bytes > quota_.bytes) return Refusal::over_quota;
    if (quota_.messages != 0 && usage.messages + messages > quota_.messages) {
        return Refusal::over_quota;
    }
    return std::nullopt;
}

} // namespace tambo::store

// Order matters when a database is opened: the locking mode before anything reads the file (else
// shared memory is used), the vacuum mode before the first page is written, WAL after both.
#include "common/db/database.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/base/unique_fd.h"
#include "common/db/vfs.h"
#include "common/sys/error.h"

#include <fcntl.h>
#include <sqlite3.h>

#include <cerrno>
#include <memory>

namespace tambo::db {

namespace {

constexpr int64_t kIncremental = 2;        // of PRAGMA auto_vacuum
constexpr int64_t kLogBytesKept = 1 << 20; // the log shrinks to this after a checkpoint

DbError::Kind kind_of(int code, int system_error) {
    // A quota or RLIMIT_FSIZE is a full disk, not a broken one.
    const bool full = system_error == EDQUOT || system_error == EFBIG || system_error == ENOSPC;
    switch (code & 0xff) {
    case SQLITE_FULL:
        return DbError::Kind::full;
    case SQLITE_IOERR:
        if (full) return DbError::Kind::full;
        // Nothing else that a file which is open can fail with.
        if (code == SQLITE_IOERR_NOMEM) return DbError::Kind::unavailable;
        return DbError::Kind::io;
    case SQLITE_CANTOPEN:
        if (full) return DbError::Kind::full;
        return is_storage_error(system_error) ? DbError::Kind::io : DbError::Kind::unavailable;
    case SQLITE_NOMEM:
        return DbError::Kind::unavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return DbError::Kind::corrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return DbError::Kind::busy;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return DbError::Kind::read_only;
    case SQLITE_CONSTRAINT:
        return DbError::Kind::constraint;
    default:
        return DbError::Kind::other;
    }
}

struct BackupFinish {
    void operator()(sqlite3_backup* backup) const { sqlite3_backup_finish(backup); }
};

struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
};

std::unique_ptr<sqlite3, Close> open_handle(const std::string& path, int flags, int& code) {
    sqlite3* handle = nullptr;
    code = sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, vfs_name());
    if (handle) sqlite3_extended_result_codes(handle, 1);
    return std::unique_ptr<sqlite3, Close>(handle);
}

} // namespace

Database::Database(const std::string& path, const Schema& schema, const OpenOptions& options)
    : path_(path) {
    if (options.create) {
        // SQLite itself would make it 0644. Nothing holds a lock yet that closing could drop.
        const UniqueFd made(::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600));
    }
    int code = SQLITE_OK;
    auto owner = open_handle(path, SQLITE_OPEN_READWRITE, code);
    handle_ = owner.get();
    require(code, "open");
    configure(options);
    check_version(schema, options);
    set_sync(options.sync);
    if (options.read_only) execute("PRAGMA query_only=1");
    static_cast<void>(owner.release());
}

Database::~Database() {
    for (const auto& [sql, statement] : idle_)
        sqlite3_finalize(statement);
    check(sqlite3_close(handle_) == SQLITE_OK, "a statement outlives its database");
}

void Database::configure(const OpenOptions& options) {
    sqlite3_busy_timeout(handle_, options.busy_timeout_ms);
    for (const auto& [option, value] :
         {std::pair{SQLITE_DBCONFIG_DEFENSIVE, 1}, std::pair{SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
          std::pair{SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1}, std::pair{SQLITE_DBCONFIG_ENABLE_FKEY, 1},
          std::pair{SQLITE_DBCONFIG_DQS_DML, 0}, std::pair{SQLITE_DBCONFIG_DQS_DDL, 0}}) {
        require(sqlite3_db_config(handle_, option, value, nullptr), "configure");
    }
    if (options.exclusive) execute("PRAGMA locking_mode=EXCLUSIVE");
    // Saying so again would be written, at each opening, and a full disk could not be read.
    if (pragma_integer("PRAGMA auto_vacuum") != kIncremental) {
        execute("PRAGMA auto_vacuum=INCREMENTAL");
    }
    execute(cat("PRAGMA cache_size=-", options.cache_kib,
                ";PRAGMA mmap_size=0;PRAGMA temp_store=MEMORY;PRAGMA cell_size_check=ON"
                ";PRAGMA synchronous=FULL"
                ";PRAGMA journal_mode=WAL;PRAGMA secure_delete=FAST;PRAGMA journal_size_limit=",
                kLogBytesKept));
    int keep = 1;
    require(sqlite3_file_control(handle_, "main", SQLITE_FCNTL_PERSIST_WAL, &keep), "configure");
    sqlite3_wal_hook(handle_, on_wal_commit, this); // also turns automatic checkpoints off
    sync_ = Sync::full;
}

int Database::on_wal_commit(void* self, sqlite3*, const char*, int pages) {
    static_cast<Database*>(self)->wal_pages_ = pages;
    return SQLITE_OK;
}

void Database::check_version(const Schema& schema, const OpenOptions& options) {
    const auto application = pragma_integer("PRAGMA application_id");
    const auto stored = static_cast<uint32_t>(pragma_integer("PRAGMA user_version"));
    const bool fresh = application == 0 && stored == 0 &&
                       pragma_integer("SELECT count(*) FROM sqlite_schema") == 0;
    version_ = static_cast<uint16_t>(stored & 0xffff);
    const auto reader_min = static_cast<uint16_t>(stored >> 16);
    if (!fresh && application != static_cast<int32_t>(schema.application_id)) {
        throw DbError(DbError::Kind::incompatible, 0, cat(path_, ": of another application"));
    }
    if (reader_min > schema.version()) {
        throw DbError(DbError::Kind::incompatible, 0,
                      cat(path_, ": needs a newer version, ", reader_min, " or later"));
    }
    if (version_ >= schema.version()) return;
    if (options.read_only) {
        throw DbError(DbError::Kind::incompatible, 0, cat(path_, ": of an older version"));
    }
    migrate(schema, version_);
}

void Database::migrate(const Schema& schema, uint16_t from) {
    Transaction transaction(*this);
    for (size_t step = from; step < schema.steps.size(); ++step) {
        execute(std::string(schema.steps[step]));
    }
    const uint32_t both = uint32_t{schema.reader_min} << 16 | schema.version();
    execute(cat("PRAGMA application_id=", static_cast<int32_t>(schema.application_id),
                ";PRAGMA user_version=", both));
    transaction.commit();
    version_ = schema.version();
}

int64_t Database::pragma_integer(const std::string& pragma) {
    sqlite3_stmt* raw = nullptr;
    require(sqlite3_prepare_v2(handle_, pragma.c_str(), -1, &raw, nullptr), pragma);
    const int code = sqlite3_step(raw);
    const int64_t value = code == SQLITE_ROW ? sqlite3_column_int64(raw, 0) : 0;
    sqlite3_finalize(raw);
    if (code != SQLITE_ROW && code != SQLITE_DONE) fail(code, pragma);
    return value;
}

void Database::fail(int code, std::string_view doing) const {
    const int system_error = sqlite3_system_errno(handle_);
    const auto kind = kind_of(code, system_error);
    const auto what = cat(path_, ": ", doing, ": ", sqlite3_errmsg(handle_), " (", code,
                          system_error ? cat(", errno ", system_error) : "", ")");
    if (kind == DbError::Kind::io) throw IoError(code, what);
    throw DbError(kind, code, what);
}

void Database::require(int code, std::string_view doing) const {
    if (code != SQLITE_OK) fail(code, doing);
}

Statement Database::prepare(std::string_view sql) {
    if (const auto found = idle_.find(sql.data()); found != idle_.end()) {
        sqlite3_stmt* handle = found->second;
        idle_.erase(found);
        return {*this, handle, sql};
    }
    sqlite3_stmt* handle = nullptr;
    require(sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                               SQLITE_PREPARE_PERSISTENT, &handle, nullptr),
            sql);
    return {*this, handle, sql};
}

void Database::give_back(std::string_view sql, sqlite3_stmt* handle) {
    sqlite3_reset(handle);
    sqlite3_clear_bindings(handle);
    if (!idle_.emplace(sql.data(), handle).second) sqlite3_finalize(handle);
}

void Database::execute(const std::string& sql) {
    require(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr),
            std::string_view(sql).substr(0, 60));
}

int64_t Database::changes() const {
    return sqlite3_changes64(handle_);
}

void Database::set_sync(Sync sync) {
    check(!in_transaction(), "synchronous changes between transactions only");
    if (sync == sync_) return;
    execute(sync == Sync::full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
    sync_ = sync;
}

bool Database::in_transaction() const {
    return sqlite3_get_autocommit(handle_) == 0;
}

// A commit whose sync failed has left whole pages in the log, which the next opening would take for
// committed, though its owner was told that it failed. They are written over, without a sync:
// nothing is tried again (RULES.md R2).
void Database::void_failed_commit() {
    failed_commit_may_return_ = true;
    try {
        if (in_transaction()) execute("ROLLBACK");
        execute("PRAGMA synchronous=OFF");
        execute(cat("PRAGMA user_version=", pragma_integer("PRAGMA user_version")));
        failed_commit_may_return_ = false;
    } catch (const DbError&) { // the disk takes nothing any more; that is what its owner reports
    }
}

bool Database::checkpoint() {
    int logged = 0, copied = 0;
    const int code =
        sqlite3_wal_checkpoint_v2(handle_, "main", SQLITE_CHECKPOINT_PASSIVE, &logged, &copied);
    require(code, "checkpoint");
    if (logged == copied) wal_pages_ = 0;
    return logged == copied;
}

bool Database::checkpoint_truncate() {
    const int code =
        sqlite3_wal_checkpoint_v2(handle_, "main", SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    if (code == SQLITE_BUSY) return false;
    require(code, "checkpoint");
    wal_pages_ = 0;
    return true;
}

void Database::sync_wal() {
    sqlite3_file* log = nullptr;
    require(sqlite3_file_control(handle_, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log), "sync");
    if (!log || !log->pMethods) return; // nothing was ever written
    const int code = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
    require(code, "sync of the log");
}

void Database::backup_to(const std::string& path) {
    int code = SQLITE_OK;
    const auto target = open_handle(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, code);
    if (code == SQLITE_OK) {
        // Exclusive: no shared memory file appears beside the copy.
        code = sqlite3_exec(target.get(), "PRAGMA locking_mode=EXCLUSIVE;PRAGMA synchronous=FULL",
                            nullptr, nullptr, nullptr);
    }
    if (code == SQLITE_OK) {
        const std::unique_ptr<sqlite3_backup, BackupFinish> backup(
            sqlite3_backup_init(target.get(), "main", handle_, "main"));
        code = backup ? sqlite3_backup_step(backup.get(), -1) : sqlite3_errcode(target.get());
    }
    if (code == SQLITE_DONE || code == SQLITE_OK) return;
    const auto what = cat(path, ": backup: ", sqlite3_errmsg(target.get()), " (", code, ")");
    const auto kind = kind_of(code, sqlite3_system_errno(target.get()));
    if (kind == DbError::Kind::io) throw IoError(code, what);
    throw DbError(kind, code, what);
}

std::vector<std::string> Database::check_integrity(bool thorough) {
    std::vector<std::string> problems;
    Statement statement = prepare(thorough ? std::string_view("PRAGMA integrity_check(100)")
                                           : std::string_view("PRAGMA quick_check(100)"));
    while (statement.step()) {
        if (statement.text(0) != "ok") problems.emplace_back(statement.text(0));
    }
    return problems;
}

void Database::incremental_vacuum(int pages) {
    execute(cat("PRAGMA incremental_vacuum(", pages, ")"));
}

void Database::release_memory() {
    for (const auto& [sql, statement] : idle_)
        sqlite3_finalize(statement);
    idle_.clear();
    sqlite3_db_release_memory(handle_);
}

Transaction::Transaction(Database& database) : database_(database) {
    database_.run("BEGIN IMMEDIATE");
    open_ = true;
}

Transaction::Transaction(Database& database, Sync sync) : database_(database) {
    database_.set_sync(sync);
    database_.run("BEGIN IMMEDIATE");
    open_ = true;
}

Transaction::~Transaction() {
    // SQLite may have rolled back by itself (disk full, i/o error).
    if (!open_ || !database_.in_transaction()) return;
    static_cast<void>(sqlite3_exec(database_.handle_, "ROLLBACK", nullptr, nullptr, nullptr));
}

void Transaction::commit() {
    try {
        database_.run("COMMIT");
    } catch (const IoError&) {
        database_.void_failed_commit();
        throw;
    }
    open_ = false;
}

} // namespace tambo::db

// The one wrapper of SQLite: a database file in WAL mode with one writer. Settings follow
// RULES.md R24; nothing outside common/db sees sqlite3.h.
//
// It never uses shared memory (in exclusive mode), temporary files or /dev/urandom, and changes no
// mode or owner of a file that its caller made, so that it works in the account sandbox. Relative
// paths are good: SQLite makes them absolute when it opens.
#pragma once

#include "common/db/error.h"
#include "common/db/statement.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

struct sqlite3;

namespace tambo::db {

// How commits reach the disk. normal: with somebody's later barrier (syncfs, sync_wal). full: the
// commit itself waits for the disk.
enum class Sync { normal, full };

// What the file holds. user_version carries both numbers: reader_min << 16 | version.
struct Schema {
    uint32_t application_id = 0;
    uint16_t reader_min = 1; // the oldest program version that can still use the file
    std::span<const std::string_view> steps; // SQL; step i leads from version i to i + 1

    uint16_t version() const { return static_cast<uint16_t>(steps.size()); }
};

struct OpenOptions {
    bool create = true;     // mode 0600
    bool read_only = false; // the file is opened for writing all the same, for its lock
    bool exclusive = true;  // one process only: no -shm file, others get busy
    Sync sync = Sync::full;
    int busy_timeout_ms = 0;
    int cache_kib = 256;
};

class Database {
  public:
    // Opens, checks application and version, migrates (durably, in one transaction). Throws
    // DbError; incompatible if reader_min of the file is above schema.version().
    Database(const std::string& path, const Schema& schema, const OpenOptions& options);
    // Neither checkpoints nor removes the WAL. All statements have gone.
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    const std::string& path() const { return path_; }
    // Version found in the file after migration; above schema.version() for a newer, compatible
    // one.
    uint16_t version() const { return version_; }

    // sql outlives the database (a literal): its address is the key of the cache.
    Statement prepare(std::string_view sql);
    // Prepares, binds and runs to the end.
    template <class... Values>
    void run(std::string_view sql, const Values&... values) {
        prepare(sql).bind_all(values...).run();
    }
    // First column of the first row; nullopt without a row or if it is NULL.
    template <class... Values>
    std::optional<int64_t> integer(std::string_view sql, const Values&... values) {
        Statement statement = prepare(sql);
        statement.bind_all(values...);
        if (!statement.step() || statement.is_null(0)) return std::nullopt;
        return statement.integer(0);
    }
    // Several statements without parameters, not cached.
    void execute(const std::string& sql);
    // Rows that the last INSERT, UPDATE or DELETE changed.
    int64_t changes() const;

    // For the commits that follow; only outside a transaction.
    void set_sync(Sync sync);
    bool in_transaction() const;
    // After a commit threw IoError: what it wrote can turn up again when the file is next opened.
    bool failed_commit_may_return() const { return failed_commit_may_return_; }

    // Pages in the write-ahead log as of the last commit.
    int64_t wal_pages() const { return wal_pages_; }
    // Copies the log into the file (and syncs both) without waiting for readers; true if all of it
    // went. The log file keeps its size, so that deleting works on a full disk.
    bool checkpoint();
    // The same, and cuts the log to nothing.
    bool checkpoint_truncate();
    // Makes every commit so far durable: fsync of the log (the barrier where syncfs is too slow).
    void sync_wal();

    // Copies a consistent state into another file, which is replaced; durable except for its name.
    void backup_to(const std::string& path);
    // Problems found, at most 100; empty: sound. Reads the whole file. thorough: indexes too.
    std::vector<std::string> check_integrity(bool thorough);
    // Frees up to `pages` unused pages at the end of the file.
    void incremental_vacuum(int pages);
    // Gives cached pages and prepared statements back.
    void release_memory();

  private:
    friend class Statement;
    friend class Transaction;
    void configure(const OpenOptions& options);
    void check_version(const Schema& schema, const OpenOptions& options);
    void migrate(const Schema& schema, uint16_t from);
    int64_t pragma_integer(const std::string& pragma);
    [[noreturn]] void fail(int code, std::string_view doing) const;
    void require(int code, std::string_view doing) const;
    void give_back(std::string_view sql, sqlite3_stmt* handle);
    void void_failed_commit();
    static int on_wal_commit(void* self, sqlite3*, const char*, int pages);

    std::string path_;
    sqlite3* handle_ = nullptr;
    uint16_t version_ = 0;
    Sync sync_ = Sync::full;
    int64_t wal_pages_ = 0;
    bool failed_commit_may_return_ = false;
    std::unordered_map<const char*, sqlite3_stmt*> idle_; // prepared, not checked out
};

// BEGIN IMMEDIATE ... COMMIT. Rolls back if it goes without commit().
class Transaction {
  public:
    explicit Transaction(Database& database);
    // With this synchronous setting from now on.
    Transaction(Database& database, Sync sync);
    ~Transaction();
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    // Throws DbError; then everything is rolled back, and after an IoError, whose owner ends, also
    // for whoever opens the file next (else failed_commit_may_return()). Its connection syncs
    // nothing any more. A sync that found the disk full is an IoError, too.
    void commit();

  private:
    Database& database_;
    bool open_ = false;
};

} // namespace tambo::db

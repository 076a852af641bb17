#include "common/db/database.h"
#include "tests/unit/failing_sync.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <filesystem>
#include <fstream>
#include <utility>

using namespace tambo;
using namespace tambo::db;

namespace {

std::string_view open_fails_of; // end of a path
int open_fails_with = 0;        // the next time that it is opened for writing

} // namespace

// SQLite's calls come here.
extern "C" int open64(const char* path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    if ((flags & O_ACCMODE) == O_RDWR && open_fails_with != 0 &&
        std::string_view(path).ends_with(open_fails_of)) {
        errno = std::exchange(open_fails_with, 0);
        return -1;
    }
    return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

namespace {

constexpr std::array<std::string_view, 1> kStepsOne{
    "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT UNIQUE, data BLOB)"};
constexpr std::array<std::string_view, 2> kStepsTwo{kStepsOne[0],
                                                    "ALTER TABLE item ADD COLUMN extra INTEGER"};

constexpr Schema kOne{0x54414D42, 1, kStepsOne};
constexpr Schema kTwo{0x54414D42, 1, kStepsTwo};
constexpr Schema kTwoStrict{0x54414D42, 2, kStepsTwo};

struct TempDir {
    std::string path;
    TempDir() {
        char name[] = "/tmp/tambo-db-XXXXXX";
        path = ::mkdtemp(name);
    }
    ~TempDir() { std::filesystem::remove_all(path); }
    std::string file(const char* name) const { return path + "/" + name; }
};

DbError::Kind
kind_of_opening(const std::string& path, const Schema& schema, const OpenOptions& options = {}) {
    try {
        Database db(path, schema, options);
    } catch (const DbError& error) {
        return error.kind();
    }
    FAIL("opened");
    return DbError::Kind::other;
}

int64_t count(Database& db) {
    return db.integer("SELECT count(*) FROM item").value();
}

} // namespace

TEST_CASE("values come back as they were bound") {
    TempDir dir;
    Database db(dir.file("a.db"), kOne, {});
    const std::string bytes("\0\x01\xff", 3);
    db.run("INSERT INTO item(id, name, data) VALUES(?, ?, ?)", INT64_MAX, "n\xC3\xBC", Blob{bytes});
    db.run("INSERT INTO item(id, name, data) VALUES(?, ?, ?)", -5, std::string_view(), Blob{{}});
    db.run("INSERT INTO item(id, name, data) VALUES(?, ?, ?)", 7, nullptr,
           Id{0x0102030405060708, 0x090a0b0c0d0e0f10});
    Statement row = db.prepare("SELECT id, name, data FROM item ORDER BY id");
    REQUIRE(row.step());
    CHECK(row.integer(0) == -5);
    CHECK_FALSE(row.is_null(1)); // empty is not NULL
    CHECK_FALSE(row.is_null(2));
    REQUIRE(row.step());
    CHECK(row.is_null(1));
    CHECK(row.id(2) == Id{0x0102030405060708, 0x090a0b0c0d0e0f10});
    CHECK(row.blob(2).substr(0, 2) == "\x01\x02");
    REQUIRE(row.step());
    CHECK(row.integer(0) == INT64_MAX);
    CHECK(row.text(1) == "n\xC3\xBC");
    CHECK(row.blob(2) == bytes);
    CHECK(row.id(2).is_nil());
    CHECK_FALSE(row.step());
    CHECK_FALSE(db.integer("SELECT name FROM item WHERE id=?", 7));
}

TEST_CASE("a statement can be used twice at once and again") {
    TempDir dir;
    Database db(dir.file("a.db"), kOne, {});
    for (int i = 0; i < 3; ++i)
        db.run("INSERT INTO item(id) VALUES(?)", i);
    constexpr std::string_view kSql = "SELECT id FROM item WHERE id>=? ORDER BY id";
    for (int round = 0; round < 2; ++round) {
        Statement outer = db.prepare(kSql);
        outer.bind_all(0);
        REQUIRE(outer.step());
        Statement inner = db.prepare(kSql);
        inner.bind_all(2);
        REQUIRE(inner.step());
        CHECK(inner.integer(0) == 2);
        CHECK(outer.step());
        CHECK(outer.integer(0) == 1);
    }
}

TEST_CASE("a transaction that goes without commit leaves nothing") {
    TempDir dir;
    Database db(dir.file("a.db"), kOne, {});
    {
        Transaction transaction(db, Sync::normal);
        db.run("INSERT INTO item(name) VALUES('x')");
    }
    CHECK(count(db) == 0);
    {
        Transaction transaction(db, Sync::full);
        db.run("INSERT INTO item(name) VALUES('x')");
        CHECK(db.changes() == 1);
        transaction.commit();
    }
    CHECK(count(db) == 1);
    try {
        Transaction transaction(db);
        db.run("INSERT INTO item(name) VALUES('y')");
        db.run("INSERT INTO item(name) VALUES('x')");
        FAIL("unique");
    } catch (const DbError& error) {
        CHECK(error.kind() == DbError::Kind::constraint);
    }
    CHECK(count(db) == 1);
    CHECK_FALSE(db.in_transaction());
}

TEST_CASE("versions: migrates forward, opens what newer ones allow, refuses the rest") {
    TempDir dir;
    const auto path = dir.file("v.db");
    { Database(path, kOne, {}).run("INSERT INTO item(name) VALUES('old')"); }
    {
        Database db(path, kTwo, {});
        CHECK(db.version() == 2);
        CHECK(count(db) == 1);
        db.run("UPDATE item SET extra=1");
    }
    {
        Database db(path, kOne, {}); // reader_min is 1: the older program may
        CHECK(db.version() == 2);
        CHECK(count(db) == 1);
    }
    CHECK(kind_of_opening(path, Schema{0x1234, 1, kStepsTwo}) == DbError::Kind::incompatible);
    const auto strict = dir.file("s.db");
    { Database db(strict, kTwoStrict, {}); }
    CHECK(kind_of_opening(strict, kOne) == DbError::Kind::incompatible);
    const auto old = dir.file("o.db");
    { Database db(old, kOne, {}); }
    CHECK(kind_of_opening(old, kTwo, OpenOptions{.read_only = true}) ==
          DbError::Kind::incompatible);
}

TEST_CASE("a foreign database and a damaged file are told apart from ours") {
    TempDir dir;
    std::ofstream(dir.file("text.db")) << std::string(8192, 'x');
    CHECK(kind_of_opening(dir.file("text.db"), kOne) == DbError::Kind::corrupt);
    CHECK(kind_of_opening(dir.file("none.db"), kOne, OpenOptions{.create = false}) ==
          DbError::Kind::unavailable);
    CHECK_FALSE(std::filesystem::exists(dir.file("none.db")));
}

TEST_CASE("damage inside is found by the integrity check") {
    TempDir dir;
    const auto path = dir.file("d.db");
    {
        Database db(path, kOne, {});
        Transaction transaction(db);
        for (int i = 0; i < 2000; ++i)
            db.run("INSERT INTO item(name) VALUES(?)", std::to_string(i));
        transaction.commit();
        CHECK(db.check_integrity(true).empty());
        REQUIRE(db.checkpoint_truncate());
    }
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096 * 5 + 100);
        file << std::string(2000, '\x7f');
    }
    Database db(path, kOne, {});
    bool found = false;
    try {
        found = !db.check_integrity(false).empty();
    } catch (const DbError& error) {
        found = error.kind() == DbError::Kind::corrupt;
    }
    CHECK(found);
}

TEST_CASE("one process only; nothing but the log lies beside the file") {
    TempDir dir;
    const auto path = dir.file("x.db");
    Database db(path, kOne, {});
    db.run("INSERT INTO item(name) VALUES('x')");
    const pid_t child = ::fork();
    if (child == 0) {
        int code = 1;
        try {
            Database other(path, kOne, {});
        } catch (const DbError& error) {
            code = error.kind() == DbError::Kind::busy ? 0 : 2;
        }
        ::_exit(code);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir.path)) {
        ++files;
        const auto name = entry.path().filename().string();
        CHECK((name == "x.db" || name == "x.db-wal"));
    }
    CHECK(files == 2);
    struct stat status_of_file {};
    REQUIRE(::stat(path.c_str(), &status_of_file) == 0);
    CHECK((status_of_file.st_mode & 07777) == 0600);
    CHECK(db.integer("PRAGMA auto_vacuum") == 2);
    CHECK(db.integer("PRAGMA mmap_size") == 0);
}

TEST_CASE("the log grows until a checkpoint, and survives a process that just ends") {
    TempDir dir;
    const auto path = dir.file("w.db");
    const pid_t child = ::fork();
    if (child == 0) {
        auto* db = new Database(path, kOne, {});
        db->set_sync(Sync::normal);
        for (int i = 0; i < 50; ++i)
            db->run("INSERT INTO item(name) VALUES(?)", i);
        ::_exit(0); // no destructor runs
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
    Database db(path, kOne, {});
    CHECK(count(db) == 50);
    db.run("INSERT INTO item(name) VALUES('a')");
    CHECK(db.wal_pages() > 50);
    db.sync_wal();
    CHECK(db.checkpoint());
    CHECK(db.wal_pages() == 0);
    CHECK(std::filesystem::file_size(path + "-wal") > 0); // its space is kept
    db.run("INSERT INTO item(name) VALUES('b')");
    CHECK(db.wal_pages() > 0);
    CHECK(db.wal_pages() < 10); // the log started anew
    CHECK(db.checkpoint_truncate());
    CHECK(std::filesystem::file_size(path + "-wal") == 0);
    CHECK(count(db) == 52);
}

TEST_CASE("a backup is complete and independent") {
    TempDir dir;
    Database db(dir.file("a.db"), kOne, {});
    for (int i = 0; i < 100; ++i)
        db.run("INSERT INTO item(name) VALUES(?)", i);
    db.backup_to(dir.file("copy.db"));
    db.run("DELETE FROM item");
    Database copy(dir.file("copy.db"), kOne, {});
    CHECK(count(copy) == 100);
    CHECK(copy.check_integrity(true).empty());
    db.incremental_vacuum(100);
    db.release_memory();
    CHECK(count(db) == 0);
}

TEST_CASE("a read-only opening writes nothing") {
    TempDir dir;
    const auto path = dir.file("r.db");
    { Database db(path, kOne, {}); }
    Database db(path, kOne, OpenOptions{.read_only = true});
    CHECK(count(db) == 0);
    try {
        db.run("INSERT INTO item(name) VALUES('x')");
        FAIL("wrote");
    } catch (const DbError& error) {
        CHECK(error.kind() == DbError::Kind::read_only);
    }
}

TEST_CASE("a full disk is an error of its own, rolled back, and deleting still works") {
    TempDir dir;
    const auto path = dir.file("f.db");
    {
        Database db(path, kOne, {});
        for (int i = 0; i < 200; ++i) {
            db.run("INSERT INTO item(data) VALUES(zeroblob(3000))");
        }
    }
    const pid_t child = ::fork();
    if (child == 0) {
        // The file size limit stands for the disk: EFBIG is treated like ENOSPC.
        ::signal(SIGXFSZ, SIG_IGN);
        Database db(path, kOne, {});
        static_cast<void>(db.checkpoint());
        struct stat log {};
        ::stat((path + "-wal").c_str(), &log);
        const rlimit limit{static_cast<rlim_t>(log.st_size), static_cast<rlim_t>(log.st_size)};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        int code = 0;
        try {
            Transaction transaction(db);
            for (int i = 0; i < 2000; ++i) {
                db.run("INSERT INTO item(data) VALUES(zeroblob(3000))");
            }
            transaction.commit();
            code = 1;
        } catch (const DbError& error) {
            if (error.kind() != DbError::Kind::full) code = 2;
        }
        try {
            if (count(db) != 200) code = 3;
            db.run("DELETE FROM item WHERE id<10");
            if (count(db) != 191) code = 4;
        } catch (const DbError&) {
            code = 5;
        }
        ::_exit(code);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("opening writes nothing, so that a full disk can be read") {
    TempDir dir;
    const auto log = dir.file("a.db-wal");
    { Database db(dir.file("a.db"), kOne, {}); }
    const auto bytes = std::filesystem::file_size(log);
    sync_fails = EIO;
    {
        Database db(dir.file("a.db"), kOne, {});
        CHECK(count(db) == 0);
    }
    sync_fails = 0;
    CHECK(std::filesystem::file_size(log) == bytes);
}

TEST_CASE("what cannot be opened says nothing about the disk") {
    TempDir dir;
    std::filesystem::create_directory(dir.file("dir.db"));
    try {
        Database db(dir.file("dir.db"), kOne, {});
        FAIL("opened");
    } catch (const DbError& error) {
        CHECK(error.kind() == DbError::Kind::unavailable);
    }
}

TEST_CASE("what cannot be opened for writing is not opened for reading instead") {
    TempDir dir;
    const auto path = dir.file("w.db");
    { Database db(path, kOne, {}); }
    for (const std::string_view file : {".db", ".db-wal"}) {
        CAPTURE(file);
        open_fails_of = file;
        open_fails_with = EMFILE;
        CHECK(kind_of_opening(path, kOne) == DbError::Kind::unavailable);
        CHECK(open_fails_with == 0);
        for (const int error : {EIO, EROFS}) {
            open_fails_with = error;
            CHECK(kind_of_opening(path, kOne) == DbError::Kind::io);
        }
        Database db(path, kOne, {});
        db.run("INSERT INTO item(data) VALUES('works again')");
    }
}

// RULES.md R2: also when the sync says that the disk is full.
TEST_CASE("a failing disk is an IoError, and what failed does not come back") {
    const int error = GENERATE(EIO, ENOSPC, EDQUOT);
    CAPTURE(error);
    TempDir dir;
    {
        Database db(dir.file("a.db"), kOne, {});
        db.run("INSERT INTO item(data) VALUES('kept')");
        Transaction transaction(db, Sync::full);
        for (int i = 0; i < 20; ++i)
            db.run("INSERT INTO item(data) VALUES(zeroblob(3000))");
        sync_fails = error;
        CHECK_THROWS_AS(transaction.commit(), IoError);
        sync_fails = 0;
        CHECK_FALSE(db.failed_commit_may_return());
        CHECK(count(db) == 1);
    }
    Database db(dir.file("a.db"), kOne, {});
    CHECK(count(db) == 1);
    CHECK(db.check_integrity(true).empty());
}

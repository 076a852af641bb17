#include "common/db/vfs.h"

#include "common/base/check.h"

#include <sqlite3.h>
#include <sys/random.h>

#include <cerrno>

namespace tambo::db {

namespace {

int fill_random(sqlite3_vfs*, int bytes, char* out) {
    const ssize_t got = ::getrandom(out, static_cast<size_t>(bytes), 0);
    return got < 0 ? 0 : static_cast<int>(got);
}

const sqlite3_vfs* standard = nullptr;

// SQLite's own opens for reading what it cannot open for writing, and then refuses each change for
// as long as the process lives, although the next opening would have succeeded.
int open_as_asked(
    sqlite3_vfs* vfs, sqlite3_filename name, sqlite3_file* file, int flags, int* flags_got) {
    int got = 0;
    errno = 0;
    const int result = standard->xOpen(vfs, name, file, flags, &got);
    if (flags_got) *flags_got = got;
    const bool refused = (flags & SQLITE_OPEN_READWRITE) && (got & SQLITE_OPEN_READONLY);
    if (result != SQLITE_OK || !refused) return result;
    const int reason = errno; // of the first try: nothing has failed since
    file->pMethods->xClose(file);
    file->pMethods = nullptr; // nothing is left to close
    errno = reason;
    return SQLITE_CANTOPEN;
}

} // namespace

const char* vfs_name() {
    static sqlite3_vfs vfs;
    if (vfs.zName) return vfs.zName;
    // Memory statistics take a lock at each allocation; nobody reads them.
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    // Pages of the cache one by one as they are needed, not the first 20 of each file in one piece,
    // which could only be given back together.
    sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, 0, 0);
    check(sqlite3_initialize() == SQLITE_OK, "SQLite does not start");
    standard = sqlite3_vfs_find(nullptr);
    check(standard != nullptr, "SQLite without a file layer");
    vfs = *standard;
    vfs.pNext = nullptr;
    vfs.xOpen = open_as_asked;
    vfs.xRandomness = fill_random;
    vfs.zName = "tambo";
    check(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK, "SQLite refuses the file layer");
    return vfs.zName;
}

} // namespace tambo::db

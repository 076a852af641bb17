#include "queued/disk.h"

#include "common/sys/error.h"
#include "common/sys/file.h"

#include <fcntl.h>
#include <unistd.h>

namespace tambo::queued {

// The log holds no locks, so a second descriptor of it is harmless; one of queue.db itself would
// drop SQLite's locks when it closes (RULES.md R24).
SystemDisk::SystemDisk(int spool, const std::string& wal_path)
    : spool_(duplicate(spool, "the spool")), wal_(open_or_throw(wal_path, O_RDONLY)) {}

void SystemDisk::sync_filesystem() {
    if (::syncfs(spool_.get()) != 0) throw_errno("syncfs spool");
}

void SystemDisk::sync_files(std::span<const int> bodies) {
    // fsync, not fdatasync: it also makes the new names durable (RULES.md R11).
    for (const int body : bodies) {
        if (::fsync(body) != 0) throw_errno("fsync of a body");
    }
    if (::fsync(wal_.get()) != 0) throw_errno("fsync queue.db-wal");
}

} // namespace tambo::queued

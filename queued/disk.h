// What makes the spool durable. Behind an interface, so that tests can count, delay and fail it.
#pragma once

#include "common/base/unique_fd.h"

#include <span>
#include <string>

namespace tambo::queued {

// Called from worker threads, also from two at a time. Throws std::system_error; the caller never
// tries again (RULES.md R2).
class Disk {
  public:
    virtual ~Disk() = default;
    // Everything that was written to the filesystem before the call, by whomever.
    virtual void sync_filesystem() = 0;
    // These bodies, and the write-ahead log of queue.db.
    virtual void sync_files(std::span<const int> bodies) = 0;
};

// Holds descriptors that were open before anything was written: only those hear of every write
// error (RULES.md R1).
class SystemDisk final : public Disk {
  public:
    // spool: the directory, duplicated here. wal_path: exists (queue.db was opened before).
    SystemDisk(int spool, const std::string& wal_path);
    void sync_filesystem() override;
    void sync_files(std::span<const int> bodies) override;

  private:
    UniqueFd spool_, wal_;
};

} // namespace tambo::queued

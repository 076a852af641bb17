// The spool directory: one file per message body, named by its queue id in one of 256 buckets that
// are made beforehand.
//
//   spool/queue.db, queue.db-wal   envelopes (queue_db.h)
//   spool/bodies/00 .. ff          exactly the bytes that the peer sent, mode 0440; all that deliverd
//                                  is given of the spool
//   spool/lost                     bodies without an envelope, found at start; never deleted here
//
// A body is created under its final name: no rename is needed to make it durable. Length and
// checksum of a complete body stand in queue.db (RULES.md R4, R5).
#pragma once

#include "common/base/id.h"
#include "common/base/unique_fd.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tambo::spool {

inline constexpr unsigned kBuckets = 256;

// "5e/<queue id>", relative to spool/bodies. The bucket is taken from the random end of the
// id.
std::string body_path(const Id& qid);

struct NewBody {
    UniqueFd writer; // write-only, for the one who has the bytes
    UniqueFd reader; // read-only, opened before the first write: sees its errors (RULES.md R1)
};

struct Space {
    uint64_t bytes = 0, inodes = 0; // free for us; inodes UINT64_MAX where there is no such limit
};

// Not thread-safe, except that fd() may be given to syncfs from anywhere. Throws std::system_error.
class Directory {
  public:
    // fd: the directory itself. Makes what is missing in it.
    explicit Directory(UniqueFd fd);

    int fd() const { return fd_.get(); }
    // Fails with EEXIST when the id was used before. The group comes from the setgid bucket.
    NewBody create(const Id& qid);
    // nullopt if there is no such file.
    std::optional<UniqueFd> open_body(const Id& qid) const;
    // false if there was no such file.
    bool remove(const Id& qid);
    // Moves a body to spool/lost under its name; false if there was none.
    bool set_aside(const Id& qid);
    Space space() const;
    // Ids of the bodies in a bucket, unordered; files with other names are left out.
    std::vector<Id> bodies(unsigned bucket) const;

  private:
    UniqueFd fd_;
    UniqueFd bodies_, lost_;
};

// Whether somebody still has the file open for writing: asked with a read lease on our own
// read-only descriptor, which the kernel refuses then. The caller owns the file.
bool has_writer(int reader);

struct Digest {
    uint64_t length = 0;
    uint32_t crc32c = 0;

    bool operator==(const Digest&) const = default;
};

// Reads the whole body; the descriptor's offset stays. Blocks; fit for a worker thread.
Digest digest_of(int reader);

} // namespace tambo::spool

// Checking and repairing an account that no process has open.
#pragma once

#include "common/store/account.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::store {

struct FsckOptions {
    Options store;                     // clock, ids, epoch, facts as for Account::open
    bool repair = false;               // false: look only, change nothing
    bool read_bodies = false;          // also read every body and compute facts anew
    int64_t orphan_age_ms = 3'600'000; // younger body files may belong to a delivery in flight
};

enum class FsckKind {
    index_damaged,   // repair: replaced by the newest good snapshot, or an empty index
    counter_wrong,   // repair: counted anew
    entry_invalid,   // order, duplicate uid, content missing; repair: dropped
    reference_wrong, // number of entries of a content; repair: counted anew
    body_missing,    // repair: its messages are removed (they cannot be read)
    body_size_wrong, // repair: sizes corrected from the file
    body_orphan,     // repair: filed into the mailbox "lost+found"
    foreign_file,    // a file in bodies/ that is no body; left alone
};
std::string_view text_of(FsckKind kind);

struct FsckFinding {
    FsckKind kind;
    std::string subject; // mailbox, uid, file name: escaped, ready to print
    bool repaired = false;
};

struct FsckReport {
    bool usable = true; // the account can be opened (after repair, if asked for)
    uint64_t mailboxes = 0, messages = 0, bodies = 0, body_bytes = 0;
    std::vector<FsckFinding> findings; // at most kFsckFindingsMax; findings_total counts all
    uint64_t findings_total = 0;
    std::string restored_from; // snapshot that replaced a damaged index, else ""
};
inline constexpr size_t kFsckFindingsMax = 1000;

// busy if a process has it open.
Outcome<FsckReport> fsck(const std::string& dir, const FsckOptions& options);

} // namespace tambo::store

// Checking and repairing an account.
#pragma once

#include "common/store/account.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::store {

struct FsckOptions {
    Options store;            // for an account that is not open: as for Account::open
    bool repair = false;      // false: look only, change nothing
    bool read_bodies = false; // also read every body and compute its facts anew (with repair)
    int64_t orphan_age_ms = 3'600'000; // younger body files may belong to a delivery in flight
};

enum class FsckKind {
    index_damaged,   // repair: replaced by the newest good snapshot, else by an empty index; every
                     // mailbox gets a new UIDVALIDITY (not for an account that is open)
    counter_wrong,   // of a mailbox; repair: counted anew
    entry_invalid,   // a message without content; repair: expunged
    reference_wrong, // a content's number of messages; repair: counted anew
    body_missing,    // repair: its messages are expunged (they cannot be read)
    body_size_wrong, // repair: its messages are replaced by new ones of the right size
    body_orphan,     // repair: filed as a message of the mailbox "lost+found"
    foreign_file,    // something in bodies/ that is no body; left alone
};
std::string_view text_of(FsckKind kind);

struct FsckFinding {
    FsckKind kind;
    std::string subject; // mailbox, uid, file name: escaped, ready to print
    bool repaired = false;
};

inline constexpr size_t kFsckFindingsMax = 1000;

struct FsckReport {
    bool usable = true; // the account can be opened (after repair, if asked for)
    uint64_t mailboxes = 0, messages = 0, bodies = 0, body_bytes = 0;
    std::vector<FsckFinding> findings; // at most kFsckFindingsMax
    uint64_t findings_total = 0;
    std::string restored_from; // file that replaced a damaged index, "" if none did
};

inline constexpr std::string_view kLostAndFound = "lost+found";

// Of an account that no process has open; busy if one has.
Outcome<FsckReport> fsck(const std::string& dir, const FsckOptions& options);
// Of one that this process has open, with its sessions: they see repairs like any change. options
// .store is not used. A damaged index is only reported.
Outcome<FsckReport> fsck(Account& account, const FsckOptions& options);

} // namespace tambo::store

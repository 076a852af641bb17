// The byte forms of what index.db holds in blobs: blocks of entries, and the log of changes
// ("deltas") that are not in the blocks yet. All integers little endian. Pure; decoding checks
// every length.
#pragma once

#include "common/store/message.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tambo::store {

inline constexpr size_t kBlockEntries = 256;

// Uids first..last, both included.
using UidRange = std::pair<uint32_t, uint32_t>;

// ---- blocks. An entry is split by how often its parts change, so that a STORE over a whole
// mailbox rewrites little: the block never changes but by expunge, the state is one byte for each
// message where all have the same modseq and no keywords.
std::string encode_block(std::span<const Entry> entries); // uid, content, size, internaldate
std::string encode_state(std::span<const Entry> entries); // flags, modseq, keywords
std::string encode_aux(std::span<const Aux> aux);
// Appends the entries of a block, with the state of the same number of entries. False: malformed.
bool decode_block(std::string_view block, std::string_view state, std::vector<Entry>& out);
bool decode_aux(std::string_view bytes, std::vector<Aux>& out);

// ---- deltas
enum class DeltaKind : uint8_t { append = 'A', flags = 'F', expunge = 'X' };

// What STORE does to one entry: replace keeps only what is given.
struct FlagEdit {
    StoreMode mode = StoreMode::add;
    Flags flags = 0;
    uint64_t keywords = 0;

    // Leaves modseq alone. True if something is different now.
    bool apply(Entry& entry) const;
};

struct Delta {
    DeltaKind kind = DeltaKind::append;
    uint64_t modseq = 0;
    std::vector<Entry> entries; // append
    std::vector<Aux> aux;       // append, same order
    FlagEdit edit;              // flags
    std::vector<UidRange> uids; // flags, expunge: ranges cover no other entry that exists then
};

std::string encode_append(uint64_t modseq,
                          UtcTime savedate,
                          std::span<const Entry> entries,
                          std::span<const Aux> aux);
std::string encode_flags(uint64_t modseq, const FlagEdit& edit, std::span<const UidRange> uids);
std::string encode_expunge(uint64_t modseq, std::span<const UidRange> uids);
bool decode_delta(std::string_view bytes, Delta& out);

// Runs of neighbours among these ascending indexes of entries, as uid ranges.
std::vector<UidRange> ranges_of(std::span<const Entry> entries, std::span<const uint32_t> indexes);

// ---- tombstones: what EXPUNGE leaves for QRESYNC and JMAP
struct Tombstone {
    uint32_t uid = 0;
    Id email_id;
};
std::string encode_tombstones(std::span<const Tombstone> tombstones);
bool decode_tombstones(std::string_view bytes, std::vector<Tombstone>& out);

} // namespace tambo::store

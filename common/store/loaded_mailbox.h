// A mailbox whose entries are in memory, and which of its blocks on disk are behind them.
#pragma once

#include "common/store/codec.h"
#include "common/store/mailbox.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tambo::store {

// A mailbox that exists, loaded or not: its row of the index.
class LoadedMailbox;
struct Row {
    uint32_t id = 0;
    std::string name;
    bool noselect = false;
    uint8_t special_use = 0;
    MailboxStatus status;
    uint32_t uid_reserved = 1; // no uid from here on has ever been shown
    uint32_t delta_next = 1;   // turn of the next delta
    uint32_t deltas = 0;       // waiting to be folded, and their size
    uint64_t delta_bytes = 0;
    bool unsaved = false;       // \Recent was claimed; goes along with the next change
    bool has_tombstones = true; // maybe
    std::weak_ptr<LoadedMailbox> loaded;
};

// One row of the tables block, state and aux: `count` neighbours in the array of entries.
struct Block {
    uint32_t key = 0; // uid of the first entry it was made for; never above its first entry
    uint32_t count = 0;
    bool entries_changed = false;
    bool state_changed = false;
    std::vector<uint32_t> absorbed; // keys of blocks merged into this one, still on disk
};

class LoadedMailbox : public Mailbox {
  public:
    LoadedMailbox(Row& row, Keywords keywords);

    // Valid while !is_deleted().
    Row& row() { return *row_; }
    uint32_t row_id() const { return row_->id; }
    const std::vector<Block>& blocks() const { return blocks_; }

    // While loading, ascending. False: malformed.
    bool load_block(uint32_t key, std::string_view block, std::string_view state);
    // Replays a committed change. False: it does not fit (the index is damaged).
    bool apply(const Delta& delta);
    // The entries that an expunge delta's apply removed last.
    std::vector<Entry> take_gone() { return std::move(gone_); }

    // ---- folding
    // Merges small neighbours; then write the changed blocks, then forget.
    void merge_blocks();
    // Aux of entries that no block on disk has, ascending.
    const std::vector<Aux>& fresh_aux() const { return fresh_aux_; }
    void folded();

  private:
    bool append(const Delta& delta);
    bool expunge(const Delta& delta);
    void edit_flags(const Delta& delta);
    Block& block_of(uint32_t uid);

    Row* row_;
    std::vector<Block> blocks_;
    std::vector<Aux> fresh_aux_;
    std::vector<Entry> gone_;
};

} // namespace tambo::store

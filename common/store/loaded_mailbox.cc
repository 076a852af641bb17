#include "common/store/loaded_mailbox.h"

#include "common/store/mailbox_editor.h"

#include <algorithm>

namespace tambo::store {

namespace {

constexpr uint32_t kSmallBlock = kBlockEntries / 4;

} // namespace

LoadedMailbox::LoadedMailbox(Row& row, Keywords keywords) : row_(&row) {
    MailboxEditor editor(*this);
    editor.set_name(row.name);
    editor.set_status(row.status);
    editor.keywords() = std::move(keywords);
    editor.reserve(row.status.messages);
}

bool LoadedMailbox::load_block(uint32_t key, std::string_view block, std::string_view state) {
    auto& all = MailboxEditor(*this).entries();
    const size_t before = all.size();
    if (!decode_block(block, state, all)) return false;
    blocks_.push_back(Block{key, static_cast<uint32_t>(all.size() - before), false, false, {}});
    return key <= all[before].uid;
}

Block& LoadedMailbox::block_of(uint32_t uid) {
    const auto above =
        std::upper_bound(blocks_.begin(), blocks_.end(), uid,
                         [](uint32_t wanted, const Block& block) { return wanted < block.key; });
    return *std::prev(above);
}

bool LoadedMailbox::apply(const Delta& delta) {
    switch (delta.kind) {
    case DeltaKind::append:
        return append(delta);
    case DeltaKind::expunge:
        return expunge(delta);
    case DeltaKind::flags:
        edit_flags(delta);
        return true;
    }
    return false;
}

bool LoadedMailbox::append(const Delta& delta) {
    MailboxEditor editor(*this);
    editor.reserve(delta.entries.size());
    for (size_t i = 0; i < delta.entries.size(); ++i) {
        const Entry& entry = delta.entries[i];
        if (!entries().empty() && entries().back().uid >= entry.uid) return false;
        if (blocks_.empty() || blocks_.back().count >= kBlockEntries) {
            blocks_.push_back(Block{entry.uid, 0, false, false, {}});
        }
        Block& last = blocks_.back();
        ++last.count;
        last.entries_changed = last.state_changed = true;
        editor.append(entry);
        fresh_aux_.push_back(delta.aux[i]);
    }
    return true;
}

bool LoadedMailbox::expunge(const Delta& delta) {
    std::vector<uint32_t> indexes;
    for (const auto& [first, last] : delta.uids) {
        const auto from = static_cast<uint32_t>(lower_bound(first));
        for (uint32_t i = from; i < entries().size() && entries()[i].uid <= last; ++i) {
            Block& block = block_of(entries()[i].uid);
            if (block.count == 0) return false;
            --block.count;
            block.entries_changed = block.state_changed = true;
            indexes.push_back(i);
        }
    }
    gone_ = MailboxEditor(*this).erase(indexes);
    return true;
}

void LoadedMailbox::edit_flags(const Delta& delta) {
    MailboxEditor editor(*this);
    auto& all = editor.entries();
    size_t first_touched = all.size();
    for (const auto& [first, last] : delta.uids) {
        const size_t from = lower_bound(first);
        first_touched = std::min(first_touched, from);
        uint32_t block_end = 0; // uids up to here are in a block that is marked already
        for (size_t i = from; i < all.size() && all[i].uid <= last; ++i) {
            if (!delta.edit.apply(all[i])) continue;
            all[i].modseq = delta.modseq;
            if (all[i].uid <= block_end) continue;
            Block& block = block_of(all[i].uid);
            block.state_changed = true;
            block_end = &block == &blocks_.back() ? UINT32_MAX : (&block + 1)->key - 1;
        }
    }
    editor.flags_touched(first_touched);
}

void LoadedMailbox::merge_blocks() {
    std::vector<Block> merged;
    merged.reserve(blocks_.size());
    for (Block& block : blocks_) {
        const bool small = block.count < kSmallBlock && !merged.empty() &&
                           merged.back().count + block.count <= kBlockEntries;
        if (!small || !(block.entries_changed || merged.back().entries_changed)) {
            merged.push_back(std::move(block));
            continue;
        }
        Block& into = merged.back();
        into.count += block.count;
        into.entries_changed = into.state_changed = true;
        into.absorbed.push_back(block.key);
        into.absorbed.insert(into.absorbed.end(), block.absorbed.begin(), block.absorbed.end());
    }
    blocks_ = std::move(merged);
}

void LoadedMailbox::folded() {
    for (Block& block : blocks_) {
        block.entries_changed = block.state_changed = false;
        block.absorbed.clear();
    }
    std::erase_if(blocks_, [](const Block& block) { return block.count == 0; });
    fresh_aux_.clear();
    fresh_aux_.shrink_to_fit();
}

} // namespace tambo::store

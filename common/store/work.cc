#include "common/store/work.h"

#include "common/base/check.h"
#include "common/store/mailbox_editor.h"

#include <algorithm>
#include <utility>

namespace tambo::store {

namespace {

constexpr size_t kDeltaEntriesMax = 512; // of one append delta: keeps rows small

void count_in(MailboxStatus& status, const Entry& entry) {
    ++status.messages;
    status.bytes += entry.size;
    if ((entry.flags & kSeen) == 0) ++status.unseen;
    if ((entry.flags & kDeleted) != 0) ++status.deleted;
    if (entry.uid >= status.recent_uid) ++status.recent;
}

void count_out(MailboxStatus& status, const Entry& entry) {
    --status.messages;
    status.bytes -= entry.size;
    if ((entry.flags & kSeen) == 0) --status.unseen;
    if ((entry.flags & kDeleted) != 0) --status.deleted;
    if (entry.uid >= status.recent_uid) --status.recent;
}

} // namespace

Work::Work(Index& index, db::Sync sync, Origin origin)
    : index_(index), sync_(sync), origin_(origin), transaction_(index.db(), sync),
      now_(index.now()), modseq_(index.modseq + 1), content_next_before_(index.content_next),
      usage_(index.usage) {}

Work::~Work() {
    if (!committed_) index_.content_next = content_next_before_;
}

Work::Part& Work::part(Row& row) {
    for (const auto& known : parts_) {
        if (known->row == &row) return *known;
    }
    auto fresh = std::make_unique<Part>();
    fresh->row = &row;
    fresh->loaded = row.loaded.lock();
    fresh->status = row.status;
    fresh->uid_reserved = row.uid_reserved;
    parts_.push_back(std::move(fresh));
    return *parts_.back();
}

bool Work::has_uids(const Row& row, size_t count) {
    return UINT32_MAX - row.status.uidnext > count;
}

std::optional<unsigned> Work::make_keyword(Part& part, std::string_view name) {
    Keywords& keywords = *part.keywords;
    if (!keywords.free_bit() && part.loaded) {
        // Names that no message has any more make room.
        uint64_t in_use = part.given;
        for (const Entry& entry : part.loaded->entries()) {
            in_use |= entry.keywords;
        }
        keywords.clear(~in_use);
        index_.db().run("DELETE FROM keyword WHERE mailbox=?", part.row->id);
        for (unsigned bit = 0; bit < Keywords::kMax; ++bit) {
            if (keywords.name(bit).empty()) continue;
            index_.db().run("INSERT INTO keyword VALUES(?, ?, ?)", part.row->id, bit,
                            keywords.name(bit));
        }
    }
    const auto bit = keywords.free_bit();
    if (!bit) return std::nullopt;
    keywords.set(*bit, name);
    index_.db().run("INSERT INTO keyword VALUES(?, ?, ?)", part.row->id, *bit, name);
    return bit;
}

uint64_t
Work::keyword_bits(Row& row, std::span<const std::string> names, bool may_make, bool& dropped) {
    if (names.empty()) return 0;
    Part& part = this->part(row);
    const Keywords known = part.keywords ? *part.keywords
                           : part.loaded ? part.loaded->keywords()
                                         : index_.read_keywords(row.id);
    uint64_t bits = 0;
    for (const std::string& name : names) {
        check(Keywords::is_valid_name(name), "keyword name");
        auto bit = (part.keywords ? *part.keywords : known).bit(name);
        if (!bit && may_make) {
            if (!part.keywords) part.keywords = std::make_unique<Keywords>(known);
            bit = make_keyword(part, name);
            dropped |= !bit;
        }
        if (bit) bits |= uint64_t{1} << *bit;
        part.given |= bits;
    }
    return bits;
}

uint32_t Work::append(Row& row, Entry entry, const Id& email_id) {
    Part& part = this->part(row);
    check(part.status.uidnext != UINT32_MAX, "has_uids() was asked");
    entry.uid = part.status.uidnext++;
    entry.modseq = modseq_;
    count_in(part.status, entry);
    usage_.bytes += entry.size;
    ++usage_.messages;
    part.added.push_back(entry);
    part.aux.push_back(Aux{entry.uid, now_, modseq_, email_id});
    return entry.uid;
}

void Work::edit_flags(LoadedMailbox& mailbox, std::vector<uint32_t> indexes, const FlagEdit& edit) {
    Part& part = this->part(mailbox.row());
    check(part.edited.empty() && !indexes.empty(), "one edit of some messages");
    part.edited.reserve(indexes.size());
    for (const uint32_t index : indexes) {
        Entry entry = mailbox.entries()[index];
        count_out(part.status, entry);
        check(edit.apply(entry), "the edit changes the message");
        count_in(part.status, entry);
        part.edited.push_back(entry.uid);
    }
    Delta delta;
    delta.kind = DeltaKind::flags;
    delta.modseq = modseq_;
    delta.edit = edit;
    delta.uids = ranges_of(mailbox.entries(), indexes);
    part.deltas.push_back(std::move(delta));
}

void Work::expunge(LoadedMailbox& mailbox, std::vector<uint32_t> indexes, bool drop) {
    Part& part = this->part(mailbox.row());
    check(part.gone.empty(), "one expunge");
    for (const uint32_t index : indexes) {
        const Entry& entry = mailbox.entries()[index];
        count_out(part.status, entry);
        usage_.bytes -= entry.size;
        --usage_.messages;
        if (drop) drop_reference(index_, entry.content, now_);
    }
    Delta delta;
    delta.kind = DeltaKind::expunge;
    delta.modseq = modseq_;
    delta.uids = ranges_of(mailbox.entries(), indexes);
    part.deltas.push_back(std::move(delta));
    part.gone = std::move(indexes);
}

void Work::remove_mailbox(LoadedMailbox& mailbox) {
    std::vector<uint32_t> all(mailbox.entries().size());
    for (size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<uint32_t>(i);
    expunge(mailbox, std::move(all), true);
    Part& part = this->part(mailbox.row());
    part.removed = true;
    index_.erase_messages(mailbox.row_id());
    // The modseq lives on though the mailbox that had it does not.
    index_.db().run("UPDATE account SET modseq_floor=?", static_cast<int64_t>(modseq_));
}

void Work::write_deltas(Part& part) {
    for (size_t from = 0; from < part.added.size(); from += kDeltaEntriesMax) {
        const size_t to = std::min(part.added.size(), from + kDeltaEntriesMax);
        Delta delta;
        delta.modseq = modseq_;
        delta.entries.assign(part.added.begin() + static_cast<std::ptrdiff_t>(from),
                             part.added.begin() + static_cast<std::ptrdiff_t>(to));
        delta.aux.assign(part.aux.begin() + static_cast<std::ptrdiff_t>(from),
                         part.aux.begin() + static_cast<std::ptrdiff_t>(to));
        part.deltas.push_back(std::move(delta));
    }
    uint32_t turn = part.row->delta_next;
    for (const Delta& delta : part.deltas) {
        const std::string bytes =
            delta.kind == DeltaKind::append ? encode_append(modseq_, now_, delta.entries, delta.aux)
            : delta.kind == DeltaKind::flags ? encode_flags(modseq_, delta.edit, delta.uids)
                                             : encode_expunge(modseq_, delta.uids);
        index_.db().run("INSERT INTO delta VALUES(?, ?)", block_id(part.row->id, turn++),
                        db::Blob{bytes});
        part.delta_bytes += bytes.size();
    }
}

void Work::write_tombstones(const Part& part) {
    if (part.gone.empty()) return;
    std::vector<Tombstone> tombstones;
    tombstones.reserve(part.gone.size());
    for (const uint32_t index : part.gone) {
        const Entry& entry = part.loaded->entries()[index];
        tombstones.push_back(Tombstone{entry.uid, read_email_id(index_, entry.content)});
    }
    const std::string bytes = encode_tombstones(tombstones);
    index_.db().run("INSERT INTO tombstone VALUES(?, ?, ?)", part.row->id,
                    static_cast<int64_t>(modseq_), db::Blob{bytes});
}

// What is shown must be below marks that are durable (RULES.md R16).
void Work::write_marks(Part& part) {
    if (part.status.uidnext > part.uid_reserved) {
        part.uid_reserved = part.status.uidnext > UINT32_MAX - kUidsReserved
                                ? UINT32_MAX
                                : part.status.uidnext + kUidsReserved;
        must_sync_ = true;
    }
}

void Work::write(Part& part) {
    if (part.removed) return;
    write_tombstones(part);
    write_deltas(part);
    write_marks(part);
    part.status.highestmodseq = modseq_;
    index_.update_row(*part.row, part.status, part.uid_reserved);
}

void Work::commit() {
    index_.mark_dirty();
    for (const auto& part : parts_)
        write(*part);
    uint64_t reserved = index_.modseq_reserved;
    if (modseq_ > reserved) {
        reserved = modseq_ + kModseqsReserved;
        index_.db().run("UPDATE account SET modseq_reserved=?", static_cast<int64_t>(reserved));
        must_sync_ = true;
    }
    transaction_.commit();
    if (must_sync_ && sync_ == db::Sync::normal) index_.db().sync_wal();
    committed_ = true;
    index_.modseq = modseq_;
    index_.modseq_reserved = reserved;
    index_.usage = usage_;
    for (const auto& part : parts_)
        publish(*part);
}

void Work::publish(Part& part) {
    Row& row = *part.row;
    row.status = part.status;
    row.uid_reserved = part.uid_reserved;
    row.unsaved = false;
    row.deltas += static_cast<uint32_t>(part.deltas.size());
    row.delta_next += static_cast<uint32_t>(part.deltas.size());
    row.delta_bytes += part.delta_bytes;
    row.has_tombstones |= !part.gone.empty();
    const std::string name = row.name;
    if (part.loaded) {
        LoadedMailbox& mailbox = *part.loaded;
        MailboxEditor editor(mailbox);
        for (const Delta& delta : part.deltas) {
            check(mailbox.apply(delta), "a planned change fits");
        }
        editor.set_status(row.status);
        if (part.keywords) editor.keywords() = std::move(*part.keywords);
        if (part.keywords) editor.tell_keywords();
        if (!part.added.empty()) editor.tell_appended(part.added.size(), origin_);
        if (!part.edited.empty()) editor.tell_flags(part.edited, origin_);
        if (!part.gone.empty()) editor.tell_expunged(mailbox.take_gone(), origin_);
        if (part.removed) editor.tell_deleted();
    }
    if (part.removed) return;
    for (AccountObserver* observer : index_.observers)
        observer->status_changed(name);
}

} // namespace tambo::store

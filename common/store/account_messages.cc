// What clients do to messages that are there: flags, expunge, copy, move.
#include "common/base/check.h"
#include "common/store/mailbox_editor.h"
#include "common/store/names.h"
#include "common/store/sqlite_account.h"

#include <algorithm>

namespace tambo::store {

namespace {

LoadedMailbox& loaded(Mailbox& mailbox) {
    return static_cast<LoadedMailbox&>(mailbox);
}

// Calls found(index) for each of these ascending uids that the mailbox has.
template <class Found>
void for_each_index(const Mailbox& mailbox, std::span<const uint32_t> uids, Found found) {
    const auto entries = mailbox.entries();
    size_t index = uids.empty() ? 0 : mailbox.lower_bound(uids.front());
    uint32_t above = 0;
    for (const uint32_t uid : uids) {
        check(uid > above, "uids ascend");
        above = uid;
        if (index < entries.size() && entries[index].uid < uid) {
            ++index; // the common case: neighbours
            if (index < entries.size() && entries[index].uid < uid) {
                index = mailbox.lower_bound(uid);
            }
        }
        if (index == entries.size()) return;
        if (entries[index].uid == uid) found(static_cast<uint32_t>(index));
    }
}

std::vector<uint32_t> uids_of(const Mailbox& mailbox, std::span<const uint32_t> indexes) {
    std::vector<uint32_t> uids;
    uids.reserve(indexes.size());
    for (const uint32_t index : indexes)
        uids.push_back(mailbox.entries()[index].uid);
    return uids;
}

} // namespace

Outcome<FlagOutcome> SqliteAccount::store_flags(Mailbox& mailbox,
                                                std::span<const uint32_t> uids,
                                                const FlagChange& change,
                                                Origin origin) {
    return changing([&]() -> Outcome<FlagOutcome> {
        if (mailbox.is_deleted()) return Err{Refusal::nonexistent};
        Work work(index_, db::Sync::full, origin);
        FlagOutcome outcome;
        FlagEdit edit;
        edit.mode = change.mode;
        edit.flags = change.flags & kAllFlags;
        edit.keywords =
            work.keyword_bits(loaded(mailbox).row(), change.keywords,
                              change.mode != StoreMode::remove, outcome.keywords_dropped);
        std::vector<uint32_t> indexes;
        for_each_index(mailbox, uids, [&](uint32_t index) {
            Entry entry = mailbox.entries()[index];
            if (change.unchanged_since && entry.modseq > *change.unchanged_since) {
                outcome.modified.push_back(entry.uid);
            } else if (edit.apply(entry)) {
                indexes.push_back(index);
            }
        });
        if (indexes.empty()) return outcome; // no commit: a new keyword that nobody got is not made
        outcome.changed = uids_of(mailbox, indexes);
        outcome.modseq = work.modseq();
        work.edit_flags(loaded(mailbox), std::move(indexes), edit);
        work.commit();
        return outcome;
    });
}

Outcome<std::vector<uint32_t>> SqliteAccount::expunge_indexes(LoadedMailbox& mailbox,
                                                              std::vector<uint32_t> indexes,
                                                              Origin origin) {
    auto uids = uids_of(mailbox, indexes);
    if (indexes.empty()) return uids;
    Work work(index_, db::Sync::full, origin);
    work.expunge(mailbox, std::move(indexes), true);
    work.commit();
    return uids;
}

Outcome<std::vector<uint32_t>> SqliteAccount::expunge(Mailbox& mailbox,
                                                      std::optional<std::span<const uint32_t>> uids,
                                                      Origin origin) {
    return changing([&]() -> Outcome<std::vector<uint32_t>> {
        if (mailbox.is_deleted()) return Err{Refusal::nonexistent};
        std::vector<uint32_t> indexes;
        const auto take_deleted = [&](uint32_t index) {
            if ((mailbox.entries()[index].flags & kDeleted) != 0) indexes.push_back(index);
        };
        if (uids) {
            for_each_index(mailbox, *uids, take_deleted);
        } else if (mailbox.status().deleted != 0) {
            for (uint32_t i = 0; i < mailbox.entries().size(); ++i)
                take_deleted(i);
        }
        return expunge_indexes(loaded(mailbox), std::move(indexes), origin);
    });
}

Outcome<std::vector<uint32_t>>
SqliteAccount::discard(Mailbox& mailbox, std::span<const uint32_t> uids, Origin origin) {
    return changing([&]() -> Outcome<std::vector<uint32_t>> {
        if (mailbox.is_deleted()) return Err{Refusal::nonexistent};
        std::vector<uint32_t> indexes;
        for_each_index(mailbox, uids, [&](uint32_t index) { indexes.push_back(index); });
        return expunge_indexes(loaded(mailbox), std::move(indexes), origin);
    });
}

Outcome<Copied> SqliteAccount::copy_entries(LoadedMailbox& from,
                                            std::span<const uint32_t> uids,
                                            std::string_view to,
                                            bool move,
                                            Origin origin) {
    if (from.is_deleted()) return Err{Refusal::nonexistent};
    auto target = selectable(to);
    if (!target.ok()) return Err{target.error()};
    Row& row = **target;
    std::vector<uint32_t> indexes;
    uint64_t bytes = 0;
    for_each_index(from, uids, [&](uint32_t index) {
        indexes.push_back(index);
        bytes += from.entries()[index].size;
    });
    Copied copied;
    copied.uidvalidity = row.status.uidvalidity;
    if (indexes.empty()) return copied;
    const auto refusal = quota_refusal(index_.usage, bytes, indexes.size());
    if (refusal && !move) return Err{*refusal};
    Work work(index_, db::Sync::full, origin);
    if (!work.has_uids(row, indexes.size())) return Err{Refusal::limit};
    copied.from = uids_of(from, indexes);
    copied.to.reserve(indexes.size());
    uint64_t last_keywords = 0, last_bits = 0; // neighbours tend to have the same
    for (const uint32_t index : indexes) {
        Entry entry = from.entries()[index];
        if (entry.keywords != last_keywords) {
            bool dropped = false;
            last_keywords = entry.keywords;
            last_bits =
                work.keyword_bits(row, from.keywords().names(entry.keywords), true, dropped);
        }
        entry.keywords = last_bits;
        if (!move) add_reference(index_, entry.content);
        copied.to.push_back(work.append(row, entry, read_email_id(index_, entry.content)));
    }
    if (move) work.expunge(from, std::move(indexes), false);
    work.commit();
    return copied;
}

Outcome<Copied> SqliteAccount::copy(Mailbox& from,
                                    std::span<const uint32_t> uids,
                                    std::string_view to,
                                    Origin origin) {
    return changing(
        [&]() -> Outcome<Copied> { return copy_entries(loaded(from), uids, to, false, origin); });
}

Outcome<Copied> SqliteAccount::move(Mailbox& from,
                                    std::span<const uint32_t> uids,
                                    std::string_view to,
                                    Origin origin) {
    return changing(
        [&]() -> Outcome<Copied> { return copy_entries(loaded(from), uids, to, true, origin); });
}

void SqliteAccount::claim_recent(Mailbox& mailbox) {
    if (mailbox.is_deleted() || read_only()) return;
    Row& row = loaded(mailbox).row();
    row.status.recent = 0;
    row.status.recent_uid = row.status.uidnext;
    row.unsaved = true;
    MailboxEditor(mailbox).set_status(row.status);
}

} // namespace tambo::store

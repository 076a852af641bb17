#include "common/store/mailbox.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/store/mailbox_editor.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tambo::store {

namespace {

constexpr std::array<std::pair<SpecialUse, std::string_view>, 7> kUses{{{kUseAll, "\\All"},
                                                                        {kUseArchive, "\\Archive"},
                                                                        {kUseDrafts, "\\Drafts"},
                                                                        {kUseFlagged, "\\Flagged"},
                                                                        {kUseJunk, "\\Junk"},
                                                                        {kUseSent, "\\Sent"},
                                                                        {kUseTrash, "\\Trash"}}};

} // namespace

std::string_view special_use_name(SpecialUse use) {
    for (const auto& [bit, name] : kUses) {
        if (bit == use) return name;
    }
    return {};
}

std::optional<SpecialUse> parse_special_use(std::string_view name) {
    for (const auto& [bit, known] : kUses) {
        if (iequals(known, name)) return bit;
    }
    return std::nullopt;
}

Mailbox::~Mailbox() {
    check(observers_.empty(), "a mailbox goes while it is observed");
}

size_t Mailbox::lower_bound(uint32_t uid) const {
    if (entries_.empty() || uid > entries_.back().uid) return entries_.size();
    const auto found =
        std::lower_bound(entries_.begin(), entries_.end(), uid,
                         [](const Entry& entry, uint32_t wanted) { return entry.uid < wanted; });
    return static_cast<size_t>(found - entries_.begin());
}

const Entry* Mailbox::find(uint32_t uid) const {
    const size_t index = lower_bound(uid);
    return index < entries_.size() && entries_[index].uid == uid ? &entries_[index] : nullptr;
}

std::optional<size_t> Mailbox::first_unseen() const {
    while (unseen_hint_ < entries_.size() && (entries_[unseen_hint_].flags & kSeen) != 0) {
        ++unseen_hint_;
    }
    if (unseen_hint_ == entries_.size()) return std::nullopt;
    return unseen_hint_;
}

void Mailbox::observe(MailboxObserver& observer) {
    observers_.push_back(&observer);
}

void Mailbox::ignore(MailboxObserver& observer) {
    std::erase(observers_, &observer);
}

void MailboxEditor::reserve(size_t more) {
    auto& entries = mailbox_.entries_;
    const size_t needed = entries.size() + more;
    if (needed > entries.capacity()) entries.reserve(needed + needed / 8);
}

void MailboxEditor::append(const Entry& entry) {
    auto& entries = mailbox_.entries_;
    check(entries.empty() || entries.back().uid < entry.uid, "uids ascend");
    entries.push_back(entry);
}

void MailboxEditor::flags_touched(size_t first_index) {
    mailbox_.unseen_hint_ = std::min(mailbox_.unseen_hint_, first_index);
}

std::vector<Entry> MailboxEditor::erase(std::span<const uint32_t> indexes) {
    auto& entries = mailbox_.entries_;
    std::vector<Entry> gone;
    if (indexes.empty()) return gone;
    gone.reserve(indexes.size());
    const size_t hint = mailbox_.unseen_hint_;
    size_t gone_before_hint = 0;
    size_t to = indexes.front();
    for (size_t from = to; from < entries.size(); ++from) {
        if (gone.size() < indexes.size() && indexes[gone.size()] == from) {
            gone.push_back(entries[from]);
            if (from < hint) ++gone_before_hint;
        } else {
            entries[to++] = entries[from];
        }
    }
    check(gone.size() == indexes.size(), "indexes ascend within the mailbox");
    entries.resize(to);
    mailbox_.unseen_hint_ = hint - gone_before_hint;
    return gone;
}

template <class Call>
void MailboxEditor::each(Call call) {
    for (size_t i = 0; i < mailbox_.observers_.size(); ++i)
        call(*mailbox_.observers_[i]);
}

void MailboxEditor::tell_appended(size_t count, Origin origin) {
    each([&](MailboxObserver& observer) { observer.appended(mailbox_, count, origin); });
}

void MailboxEditor::tell_flags(std::span<const uint32_t> uids, Origin origin) {
    each([&](MailboxObserver& observer) { observer.flags_changed(mailbox_, uids, origin); });
}

void MailboxEditor::tell_expunged(std::span<const Entry> gone, Origin origin) {
    each([&](MailboxObserver& observer) { observer.expunged(mailbox_, gone, origin); });
}

void MailboxEditor::tell_keywords() {
    each([&](MailboxObserver& observer) { observer.keywords_changed(mailbox_); });
}

void MailboxEditor::tell_deleted() {
    mailbox_.deleted_ = true;
    each([&](MailboxObserver& observer) { observer.deleted(mailbox_); });
}

} // namespace tambo::store

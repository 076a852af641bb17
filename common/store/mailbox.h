// One mailbox in memory: its entries, names and counters, shared by all sessions of the process.
// Only the Account changes it (account.h); everybody else reads it and observes it.
#pragma once

#include "common/base/id.h"
#include "common/store/change.h"
#include "common/store/flags.h"
#include "common/store/message.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::store {

// RFC 6154. Bits: a mailbox may have several, a use belongs to at most one mailbox.
enum SpecialUse : uint8_t {
    kUseAll = 1,
    kUseArchive = 2,
    kUseDrafts = 4,
    kUseFlagged = 8,
    kUseJunk = 16,
    kUseSent = 32,
    kUseTrash = 64,
};
// "\\Drafts" etc. for one bit, and back (any case).
std::string_view special_use_name(SpecialUse use);
std::optional<SpecialUse> parse_special_use(std::string_view name);

// One line of LIST. Names are UTF-8 with "/" between levels; "INBOX" is always in capitals.
struct MailboxInfo {
    std::string name;
    Id mailbox_id;           // RFC 8474 MAILBOXID; nil if noselect
    uint8_t special_use = 0; // SpecialUse bits
    bool noselect = false;   // only a place in the tree
    bool has_children = false;
    bool subscribed = false;
};

// STATUS, and the figures of SELECT. Kept up to date by every change, never counted.
struct MailboxStatus {
    uint32_t uidvalidity = 0;
    uint32_t uidnext = 1;
    uint32_t messages = 0;
    uint32_t unseen = 0;  // number of messages without \Seen
    uint32_t deleted = 0; // number of messages with \Deleted
    // Messages that are \Recent for the next read-write session: those from recent_uid on.
    uint32_t recent = 0, recent_uid = 1;
    uint64_t bytes = 0;           // RFC 8438 SIZE
    uint64_t highestmodseq = 1;   // never 0 (RULES.md Q5)
    uint64_t tombstone_floor = 0; // expunges up to this modseq have been forgotten
    Id mailbox_id;
};

// Obtained from Account::select(); lives while somebody holds the shared_ptr. Pointers and spans
// into entries() are valid until the next change of the mailbox or return to the event loop.
class Mailbox {
  public:
    Mailbox() = default;
    ~Mailbox();
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;

    // Current name (RENAME changes it); the last one if is_deleted().
    const std::string& name() const { return name_; }
    bool is_deleted() const { return deleted_; }
    const MailboxStatus& status() const { return status_; }
    const Keywords& keywords() const { return keywords_; }
    // All messages, ascending by uid.
    std::span<const Entry> entries() const { return entries_; }
    // Index of the first entry whose uid is not below; entries().size() if there is none.
    size_t lower_bound(uint32_t uid) const;
    const Entry* find(uint32_t uid) const;
    // Index of the first message without \Seen (SELECT's [UNSEEN], RFC 3501 6.3.1). Amortised O(1).
    std::optional<size_t> first_unseen() const;

    void observe(MailboxObserver& observer);
    void ignore(MailboxObserver& observer);

  private:
    friend class MailboxEditor; // the store's implementation (mailbox_editor.h)

    bool deleted_ = false;
    std::string name_;
    MailboxStatus status_;
    Keywords keywords_;
    std::vector<Entry> entries_;
    std::vector<MailboxObserver*> observers_;
    mutable size_t unseen_hint_ = 0; // everything before it has \Seen
};

} // namespace tambo::store

// The store of one account: the interface that sessions, filing and fsck use. One process owns an
// account; all calls are synchronous, may block on the disk, and come from one thread.
//
// Durability: what append, copy, move, store, expunge and the mailbox calls return good is on the
// disk for good (RULES.md R18). deliver() is committed but becomes durable with the
// caller's barrier (RULES.md R6, R10). Nothing is ever half done: a refused call changed nothing.
#pragma once

#include "common/base/id.h"
#include "common/base/limits.h"
#include "common/base/time.h"
#include "common/store/body.h"
#include "common/store/body_name.h"
#include "common/store/mailbox.h"
#include "common/store/message.h"
#include "common/store/refusal.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tambo::store {

// 0: no limit. Every message counts in each mailbox that has it, with its RFC822.SIZE.
struct Quota {
    uint64_t bytes = 0;
    uint64_t messages = 0;
};

struct Usage {
    uint64_t bytes = 0;
    uint64_t messages = 0;
};

struct Options {
    Clock* clock = nullptr;     // must outlive the account
    std::function<Id()> new_id; // fresh 128-bit ids, unique for ever (RULES.md R21)
    uint32_t epoch = 0;         // master's durable epoch; a higher one than last time lifts UIDs
    bool read_only = false;
    int busy_wait_ms = 0; // how long to wait for a predecessor that is just closing
    Quota quota;
    FactsParser facts; // without it facts stay uncomputed until one is given
    uint64_t disk_reserve_bytes = limits::disk_reserve_bytes; // append refuses below
    int64_t unlink_delay_ms = 3'600'000; // bodies of expunged messages stay at least so long
};

// A message to be put into a mailbox by a client (IMAP APPEND).
struct NewMessage {
    BodyWriter body;
    std::string prefix; // header fields that we add, each with CRLF; may be empty
    Flags flags = 0;
    std::vector<std::string> keywords;   // valid names (check); those beyond 64 are dropped
    std::optional<UtcTime> internaldate; // default: now
};

struct Appended {
    uint32_t uidvalidity = 0;
    std::vector<uint32_t> uids; // in the order of the messages
};

// A message that deliverd has linked as BodyName::of(key) into the account.
struct Delivery {
    DeliveryKey key;
    std::string prefix; // Return-Path, Delivered-To, Received, ...
    std::string mailbox = "INBOX";
    Flags flags = 0;
    std::vector<std::string> keywords;
    std::optional<UtcTime> internaldate; // default: now
};

struct Delivered {
    bool already = false;     // the key was known: nothing was done, count it as delivered
    uint32_t uidvalidity = 0; // 0 if already
    uint32_t uid = 0;
};

// STORE. Uids that are not in the mailbox are ignored.
struct FlagChange {
    StoreMode mode = StoreMode::add;
    Flags flags = 0;
    std::vector<std::string> keywords; // valid names (check); for add and replace new ones are made
    std::optional<uint64_t> unchanged_since; // RFC 7162 3.1.3
};

struct FlagOutcome {
    std::vector<uint32_t> changed;  // uids whose flags are different now, ascending
    std::vector<uint32_t> modified; // uids left alone because of unchanged_since, ascending
    uint64_t modseq = 0;            // of this change; 0 if nothing changed
    bool keywords_dropped = false;  // no room for a new keyword (then it was not set)
};

struct Copied {
    uint32_t uidvalidity = 0;       // of the target
    std::vector<uint32_t> from, to; // pairs, ascending (COPYUID, RFC 4315 3)
};

// All mailbox names are UTF-8 in NFC, levels separated by "/", INBOX (and INBOX/...) in any case.
// Uids passed in are ascending without repeats (check).
class Account {
  public:
    // dir may be relative ("." after the sandbox). Makes index and default mailboxes at the first
    // opening of a directory that make_account_dir() (layout.h) has prepared.
    static Outcome<std::unique_ptr<Account>> open(const std::string& dir, Options options);
    // Leaves a clean mark if close() was not called and nothing failed. Views and mailboxes must
    // be gone.
    virtual ~Account() = default;
    virtual void close() = 0;

    virtual const Id& account_id() const = 0;
    // True after an opening as read-only, an i/o error or damage.
    virtual bool read_only() const = 0;
    // Set after io_error or corrupt: the process must end, sessions get their protocol's BYE.
    virtual std::optional<Refusal> failure() const = 0;
    virtual Usage usage() const = 0;
    virtual const Quota& quota() const = 0;
    virtual void set_quota(const Quota& quota) = 0;

    // ---- mailboxes. RFC 9051 6.3.
    // All existing and \Noselect names, sorted by name with INBOX first.
    virtual std::vector<MailboxInfo> list() const = 0;
    virtual std::optional<MailboxInfo> info(std::string_view name) const = 0;
    virtual Outcome<MailboxStatus> status(std::string_view name) const = 0;
    // The same object for all callers while anyone holds it. Loads the entries.
    virtual Outcome<std::shared_ptr<Mailbox>> select(std::string_view name) = 0;
    // Makes missing parents too. Returns the names made, parents first. special_use: SpecialUse
    // bits; refused with cannot if another mailbox has the use (RFC 6154 3).
    virtual Outcome<std::vector<std::string>> create(std::string_view name,
                                                     uint8_t special_use = 0) = 0;
    // With children it becomes \Noselect. Parents that are \Noselect and lost their last child go
    // too. Bodies go later.
    virtual Outcome<Done> remove(std::string_view name) = 0;
    // The whole tree; missing parents are made. RENAME of INBOX moves its messages into the new
    // mailbox and leaves INBOX (and its children) where it is (RFC 9051 6.3.6).
    virtual Outcome<Done> rename(std::string_view from, std::string_view to) = 0;
    // Names need not exist.
    virtual Outcome<Done> subscribe(std::string_view name, bool subscribed) = 0;
    virtual std::vector<std::string> subscriptions() const = 0;
    // Name of the mailbox with this use, if any.
    virtual std::optional<std::string> find_use(SpecialUse use) const = 0;

    // ---- messages
    // A new body file to write into. disk_full below the reserve.
    virtual Outcome<BodyWriter> new_body() = 0;
    // All or none. keeps the bodies of a refused call's messages for nobody: they are removed.
    virtual Outcome<Appended>
    append(std::string_view mailbox, std::vector<NewMessage> messages, Origin origin) = 0;
    // One transaction for all; outcomes in order. A refusal concerns only its delivery unless it is
    // disk_full, io_error or corrupt, which then all have. Not durable before the caller's barrier.
    virtual std::vector<Outcome<Delivered>> deliver(std::span<const Delivery> deliveries) = 0;
    // Nothing that was accepted before this time is in the queue any more: keys filed a week before
    // it are needed by nobody (RULES.md R17). They go with the next tidy().
    virtual void forget_deliveries(UtcTime queued_since) = 0;
    virtual Outcome<FlagOutcome> store_flags(Mailbox& mailbox,
                                             std::span<const uint32_t> uids,
                                             const FlagChange& change,
                                             Origin origin) = 0;
    // Removes the messages that are \Deleted, of uids if given, else of the mailbox. Returns uids.
    virtual Outcome<std::vector<uint32_t>>
    expunge(Mailbox& mailbox, std::optional<std::span<const uint32_t>> uids, Origin origin) = 0;
    // Removes these messages whatever their flags (POP3 QUIT, RFC 1939 6). Returns uids.
    virtual Outcome<std::vector<uint32_t>>
    discard(Mailbox& mailbox, std::span<const uint32_t> uids, Origin origin) = 0;
    virtual Outcome<Copied>
    copy(Mailbox& from, std::span<const uint32_t> uids, std::string_view to, Origin origin) = 0;
    // In one transaction (RFC 6851). Into the same mailbox too: the message gets a new uid.
    virtual Outcome<Copied>
    move(Mailbox& from, std::span<const uint32_t> uids, std::string_view to, Origin origin) = 0;

    // ---- reading. Entries may be of expunged messages that a View still shows.
    virtual Outcome<MessageReader> open_message(const Entry& entry) = 0;
    // Calls sink for each entry in order with its facts; stops when sink returns false. Computes
    // and keeps facts that are missing or old. An entry whose body is unreadable gets empty facts
    // (envelope ""). sink must not call the account.
    virtual Outcome<Done>
    read_facts(std::span<const Entry> entries,
               FactsPart part,
               const std::function<bool(const Entry&, const FactsView&)>& sink) = 0;
    // Of all messages of the mailbox, or of uids; ascending.
    virtual Outcome<std::vector<Aux>> read_aux(const Mailbox& mailbox,
                                               std::optional<std::span<const uint32_t>> uids) = 0;
    // Uids expunged after modseq, ascending; nullopt: forgotten, the client must compare all uids
    // (RFC 7162 3.2.5.2).
    virtual Outcome<std::optional<std::vector<uint32_t>>> vanished_since(const Mailbox& mailbox,
                                                                         uint64_t modseq) = 0;

    // ---- change feed
    virtual void observe(AccountObserver& observer) = 0;
    virtual void ignore(AccountObserver& observer) = 0;

    // POP3's exclusive access (RFC 1939 4): false if another session has it.
    virtual bool lock_maildrop() = 0;
    virtual void unlock_maildrop() = 0;

    // ---- upkeep, for the account process
    // A bounded piece of deferred work (folding, purging bodies, WAL checkpoint); true if more is
    // waiting. Call when idle and before close().
    virtual Outcome<bool> tidy() = 0;
    // Gives back what is only kept to be quick the next time. Call when idle.
    virtual void release_memory() = 0;
    // Writes snapshot.db beside the index (the older one becomes snapshot.old.db). Durable.
    virtual Outcome<Done> snapshot() = 0;

    // For View: expunged contents that it still shows are not purged.
    virtual void pin(uint32_t content) = 0;
    virtual void unpin(uint32_t content) = 0;
    // For View: read-write sessions take \Recent for uids below uidnext.
    virtual void claim_recent(Mailbox& mailbox) = 0;
};

} // namespace tambo::store

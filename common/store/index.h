// index.db of one account: what is in it, loaded or not. Everything here throws db::DbError; the
// account (sqlite_account.h) turns that into a Refusal. Changes go through Work (work.h).
#pragma once

#include "common/base/unique_fd.h"
#include "common/db/database.h"
#include "common/store/account.h"
#include "common/store/loaded_mailbox.h"
#include "common/store/schema.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::store {

// Throws DbError(corrupt): what was read contradicts itself.
[[noreturn]] void throw_corrupt(const db::Database& database, std::string_view what);

constexpr int64_t block_id(uint32_t mailbox, uint32_t n) {
    return static_cast<int64_t>(mailbox) << 32 | n;
}

class Index {
  public:
    using Rows = std::map<std::string, std::unique_ptr<Row>, std::less<>>;

    // Opens or makes it. account_dir is borrowed for the life of the index.
    Index(const std::string& dir, int account_dir, const Options& options);
    Index(const Index&) = delete;
    Index& operator=(const Index&) = delete;

    db::Database& db() { return db_; }
    int account_dir() const { return account_dir_; }
    const Options& options() const { return options_; }
    const Id& account_id() const { return account_id_; }
    UtcTime now() const { return options_.clock->now(); }

    // Mailboxes by name.
    Rows& rows() { return rows_; }
    const Rows& rows() const { return rows_; }
    Row* find(std::string_view name);
    const Row* find(std::string_view name) const;
    bool has_children(std::string_view name) const;

    bool is_subscribed(std::string_view name) const { return subscribed_.contains(name); }
    std::vector<std::string> subscriptions() const;
    // In a transaction of its own, durable.
    void set_subscribed(const std::string& name, bool subscribed);

    // Brings an account of an older epoch past every uid and modseq that may have been shown, after
    // a check of the file if it was not closed cleanly. Durable.
    void take_epoch();
    // After the return of an older index: what clients have cached of the lost one is void.
    void renew_uidvalidities();
    // Default mailboxes of a new account.
    void make_defaults();

    // The entries of a mailbox; the same object while anyone holds it.
    std::shared_ptr<LoadedMailbox> load(Row& row);
    Keywords read_keywords(uint32_t mailbox);
    // Writes changed blocks and forgets the deltas. In a transaction of its own, not synced.
    void fold(LoadedMailbox& mailbox);

    // ---- inside a transaction
    void insert_row(Row& row);
    void update_row(const Row& row, const MailboxStatus& status, uint32_t uid_reserved);
    // Removes everything that belongs to the mailbox but its row.
    void erase_messages(uint32_t mailbox);
    void erase_row(uint32_t mailbox);
    void rename_row(const Row& row, const std::string& name);
    // A UIDVALIDITY that no mailbox ever had, and the next one.
    uint32_t next_uidvalidity();
    // First change since opening: takes the clean mark away.
    void mark_dirty();
    void save_counters();

    // ---- counters of the account, in memory ahead of the disk only as far as reserved
    uint64_t modseq = 1, modseq_reserved = 1;
    uint32_t content_next = 1;
    Usage usage;
    std::vector<AccountObserver*> observers;

    // Everything committed, clean mark set.
    void close();

  private:
    void read_account();
    void read_rows();
    void read_delta_sizes();
    void make_account();
    std::string
    encode_aux_of(const LoadedMailbox& mailbox, const Block& block, std::span<const Entry> entries);
    void write_block(LoadedMailbox& mailbox, const Block& block, std::span<const Entry> entries);

    const Options options_;
    int account_dir_;
    db::Database db_;
    Rows rows_;
    std::set<std::string, std::less<>> subscribed_;
    Id account_id_;
    uint32_t epoch_ = 0;
    uint32_t uidvalidity_next_ = 1;
    bool clean_ = true; // as on disk
};

inline constexpr uint32_t kUidsReserved = 1024; // ahead of UIDNEXT
inline constexpr uint64_t kModseqsReserved = 65536;

} // namespace tambo::store

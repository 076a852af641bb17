// Work: one change of the account from begin to commit, and then its appearance in memory and in
// the change feed. Everything is planned against the memory as it is; nothing is visible to anybody
// before the commit succeeded, and a Work that goes without commit() leaves no trace.
#pragma once

#include "common/store/change.h"
#include "common/store/contents.h"
#include "common/store/index.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::store {

class Work {
  public:
    // Opens a transaction with this synchronous setting.
    Work(Index& index, db::Sync sync, Origin origin);
    ~Work();
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

    // The modseq that everything in this work gets.
    uint64_t modseq() const { return modseq_; }
    UtcTime now() const { return now_; }
    // Counters as they will be.
    const Usage& usage() const { return usage_; }

    // False: the uids of the mailbox are used up.
    bool has_uids(const Row& row, size_t count);
    // The bits of these keywords in the mailbox; missing ones are made if may_make. dropped is set
    // if there was no room for one.
    uint64_t
    keyword_bits(Row& row, std::span<const std::string> names, bool may_make, bool& dropped);
    // Puts an entry behind the others of the mailbox: gives it uid and modseq. Its content has been
    // inserted or has got one more reference. Returns the uid.
    uint32_t append(Row& row, Entry entry, const Id& email_id);
    // At most one for each mailbox. indexes into its entries, ascending, not empty, each of which
    // the edit changes.
    void edit_flags(LoadedMailbox& mailbox, std::vector<uint32_t> indexes, const FlagEdit& edit);
    // At most one for each mailbox. drop: the contents lose a reference (false for MOVE).
    void expunge(LoadedMailbox& mailbox, std::vector<uint32_t> indexes, bool drop);
    // Expunges everything and erases what belongs to the mailbox, except its row in the table,
    // which is the caller's. Afterwards the LoadedMailbox is deleted.
    void remove_mailbox(LoadedMailbox& mailbox);

    // Writes, commits, and publishes: memory first, then observers. Throws db::DbError; then
    // nothing has changed.
    void commit();

  private:
    // What this work does to one mailbox.
    struct Part {
        Row* row;
        std::shared_ptr<LoadedMailbox> loaded; // if it is
        MailboxStatus status;
        uint32_t uid_reserved;
        std::vector<Entry> added;
        std::vector<Aux> aux;
        std::vector<uint32_t> edited; // uids
        std::vector<uint32_t> gone;   // indexes
        std::vector<Delta> deltas;
        uint64_t delta_bytes = 0;
        std::unique_ptr<Keywords> keywords; // if they changed
        uint64_t given = 0;                 // keyword bits that this work may have put to use
        bool removed = false;
    };
    Part& part(Row& row);
    std::optional<unsigned> make_keyword(Part& part, std::string_view name);
    void write(Part& part);
    void write_deltas(Part& part);
    void write_tombstones(const Part& part);
    void write_marks(Part& part);
    void publish(Part& part);

    Index& index_;
    db::Sync sync_;
    Origin origin_;
    db::Transaction transaction_;
    UtcTime now_;
    uint64_t modseq_;
    uint32_t content_next_before_;
    Usage usage_;
    bool must_sync_ = false; // marks were moved: durable before anything is shown
    std::vector<std::unique_ptr<Part>> parts_;
    bool committed_ = false;
};

} // namespace tambo::store

// A session's picture of its selected mailbox: message sequence numbers that stay put until the
// session says so (RFC 9051 5.5, 7.4), while the shared Mailbox moves on at once. It costs memory
// only for messages that others expunged and this session was not told about yet.
#pragma once

#include "common/store/mailbox.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace tambo::store {

class Account;

// What sync() found, in the order in which the client must hear it: expunged, then exists, recent
// and keywords, then flags.
struct ViewChanges {
    // Sequence numbers for EXPUNGE, descending, so that each is right when its turn comes.
    std::vector<uint32_t> expunged;
    std::vector<uint32_t> vanished; // the same messages as uids, ascending
    bool exists = false;            // count() grew
    bool recent = false;            // recent_count() changed
    bool keywords = false;          // FLAGS and PERMANENTFLAGS must be sent anew
    // Sequence numbers (valid after this sync) whose flags others changed, ascending.
    std::vector<uint32_t> flags;
    bool gone = false; // the mailbox was deleted: all messages are in expunged

    bool empty() const {
        return expunged.empty() && !exists && !recent && !keywords && flags.empty() && !gone;
    }
};

// The account and the mailbox outlive the view. One view per selecting session; POP3 makes one at
// login and never syncs it.
class View final : public MailboxObserver {
  public:
    // read_only: EXAMINE, does not claim \Recent. A read-write view claims what nobody had yet.
    View(Account& account, std::shared_ptr<Mailbox> mailbox, bool read_only);
    ~View() override;
    View(const View&) = delete;
    View& operator=(const View&) = delete;

    Mailbox& mailbox() { return *mailbox_; }
    const Mailbox& mailbox() const { return *mailbox_; }
    bool read_only() const { return read_only_; }

    // Messages as the client counts them.
    uint32_t count() const;
    uint32_t recent_count() const;
    bool is_recent(uint32_t uid) const;
    // Highest uid in the view, 0 if it is empty: what "*" means.
    uint32_t last_uid() const;
    // The message with this sequence number, 1 <= seq <= count() (check). For a message that others
    // expunged the entry as it last was: its text and facts can still be read. The reference is
    // valid until the mailbox changes or the view syncs.
    const Entry& at(uint32_t seq) const;
    // True if the message at() is in the mailbox no longer.
    bool is_expunged(uint32_t seq) const;
    // Sequence number of a uid; 0 if it is not in the view.
    uint32_t seq_of(uint32_t uid) const;
    // First sequence number whose uid is not below; count() + 1 if there is none.
    uint32_t lower_bound(uint32_t uid) const;

    // True if sync(true) would report something.
    bool has_changes() const;
    // Takes over what happened since the last call. With may_expunge = false (the answer to FETCH,
    // STORE or SEARCH without UID, RFC 9051 7.5.1) expunges stay for later; new messages and flags
    // are taken in any case. Not const: claims \Recent for a read-write view.
    ViewChanges sync(bool may_expunge);

    // Called after each change that sync() would report, whoever made it; must not call back into
    // view or account: a session in IDLE wakes its coroutine from here.
    std::function<void()> on_change;

    void appended(Mailbox& mailbox, size_t count, Origin origin) override;
    void flags_changed(Mailbox& mailbox, std::span<const uint32_t> uids, Origin origin) override;
    void expunged(Mailbox& mailbox, std::span<const Entry> gone, Origin origin) override;
    void keywords_changed(Mailbox& mailbox) override;
    void deleted(Mailbox& mailbox) override;

  private:
    using Range = std::pair<uint32_t, uint32_t>; // uids, both ends included
    size_t live_count() const;                   // entries of the mailbox that the view shows
    void claim_recent();
    std::vector<uint32_t> take_expunges(ViewChanges& changes);
    void notify();

    Account& account_;
    std::shared_ptr<Mailbox> mailbox_;
    bool read_only_;
    uint32_t uid_limit_ = 1;            // the view shows uids below
    std::vector<Entry> ghosts_;         // expunged, not yet told; ascending by uid
    std::vector<uint32_t> flag_events_; // uids, unsorted, may repeat
    std::vector<Range> recent_;         // claimed by this view, ascending
    uint32_t recent_told_ = 0;
    bool keyword_event_ = false, gone_ = false, gone_told_ = false;
};

} // namespace tambo::store

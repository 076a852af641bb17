// The state of a session and what its commands share: the stream, the selected mailbox, responses.
// session.cc has the loop and the dispatch; the commands themselves are functions (commands.h).
#pragma once

#include "common/net/stream.h"
#include "common/store/view.h"
#include "imapd/session/commands.h"
#include "imapd/session/error.h"
#include "imapd/session/reader.h"
#include "imapd/session/sequence_set.h"
#include "imapd/session/session.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::imap {

class Session {
  public:
    using Event = CommandReader::Event;

    Session(Nursery& nursery, UniqueFd client, store::Account& account, SessionSettings settings);
    // Says in the log why the session ended.
    ~Session();
    Session(const Session&) = delete;

    task<> run();

    // ---- for commands
    net::Stream& io() { return io_; }
    store::Account& account() { return account_; }
    CommandReader& reader() { return reader_; }
    const SessionSettings& settings() const { return settings_; }
    const std::string& tag() const { return tag_; }
    // Ends the session after the current command.
    void end() {
        done_ = true;
        ended_why_ = "logout";
    }
    // The same, with an untagged BYE.
    void say_bye(std::string_view text);
    // BYE to a client that was silent for too long (RFC 3501 5.4). Always throws Closed.
    task<> autologout();

    bool has_view() const { return view_ != nullptr; }
    // The selected mailbox (check).
    store::View& view();
    // How the store is told that a change is ours.
    store::Origin origin() const { return view_.get(); }
    void select(std::shared_ptr<store::Mailbox> mailbox, bool read_only);
    void deselect() { view_.reset(); }
    // Throws No unless the selected mailbox may be changed.
    void require_writable();

    // "* " text CRLF.
    void untagged(std::string_view text);
    // More output waits than limits::output_pending_bytes: flush before making more of it.
    bool crowded() const;
    // Lets the other coroutines of the process run if this command has been at it for long. Whoever
    // cannot wait where it is asks is_breathless() and comes to a place where it can.
    task<> breathe();
    bool is_breathless() const;
    // Tells the client what others did to the selected mailbox. may_expunge: sequence numbers may
    // change now (never in the answer to FETCH, STORE, SEARCH: RFC 3501 7.4.1).
    task<> report_changes(bool may_expunge);
    // The reader's next event; flushes and waits as needed. Throws Closed after the autologout.
    task<Event> next_event();
    // Feeds the reader with what has arrived; more if that is not enough.
    Event take_event();

    // Flags of a message as the client sees them, appended to out: "(\Seen \Recent)".
    void put_flags_of(std::string& out, const store::Entry& entry);
    // FLAGS and PERMANENTFLAGS of the selected mailbox.
    void put_keywords();

    // The sequence numbers of the view that a set names, as ascending ranges. by_uid: the set is of
    // UIDs, those that are not there vanish. Else Bad for numbers that are not there.
    std::vector<NumberRange> numbers_of(const SequenceSet& set, bool by_uid);
    // Their UIDs, without those of messages that are expunged already.
    std::vector<uint32_t> uids_of(const std::vector<NumberRange>& numbers);
    bool some_expunged(const std::vector<NumberRange>& numbers);

  private:
    task<> on_event(Event event);
    void on_refused();
    task<> command();
    task<std::string> execute();
    void finish(std::string_view status, std::string_view code, std::string_view text);
    void greet();

    Nursery& nursery_;
    SessionSettings settings_;
    store::Account& account_;
    net::Stream io_;
    CommandReader reader_{kSessionLimits};
    std::unique_ptr<store::View> view_;
    std::string tag_;
    std::string waiting_answer_;          // to the command whose message is being skipped
    std::string_view ended_why_ = "gone"; // for the event
    bool may_expunge_ = true;
    bool done_ = false;
    int bad_commands_ = 0;
    uint64_t commands_ = 0;
    int64_t started_ms_ = 0;
    int64_t breath_ms_ = 0; // when breathe() last let others run
};

// The store's refusal as the client's NO. target: the mailbox named is where messages go, so that
// its absence is [TRYCREATE] (RFC 3501 6.3.11, 6.4.7).
No refused(store::Refusal refusal, bool target = false);

// The value of an Outcome, or its No.
template <class T>
T accepted(store::Outcome<T> outcome, bool target = false) {
    if (!outcome.ok()) throw refused(outcome.error(), target);
    return std::move(outcome).value();
}

// The name of an existing mailbox, or what the store says to names that cannot exist.
const std::string& existing_name(const MailboxName& name, bool target = false);
// The name of a mailbox that is to be made.
const std::string& new_name(const MailboxName& name);

} // namespace tambo::imap

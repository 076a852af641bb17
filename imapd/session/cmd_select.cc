// What opens, closes and empties the selected mailbox: SELECT, EXAMINE, CLOSE, UNSELECT, EXPUNGE.
#include "common/base/text.h"
#include "imapd/session/response.h"
#include "imapd/session/state.h"

namespace tambo::imap {

namespace {

// RFC 3501 6.3.1, 6.3.2.
std::string open_mailbox(Session& session, Parser& args, bool examine) {
    args.space();
    const auto name = args.mailbox();
    args.end();
    session.deselect(); // also when this one cannot be opened
    auto mailbox = accepted(session.account().select(existing_name(name)));
    const bool read_only = examine || session.account().read_only();
    const auto unseen = mailbox->first_unseen();
    const store::MailboxStatus status = mailbox->status();
    session.select(std::move(mailbox), read_only);
    const store::View& view = session.view();
    session.put_keywords();
    session.untagged(cat(view.count(), " EXISTS"));
    session.untagged(cat(view.recent_count(), " RECENT"));
    if (unseen) session.untagged(cat("OK [UNSEEN ", *unseen + 1, "] First unseen"));
    session.untagged(cat("OK [UIDVALIDITY ", status.uidvalidity, "] UIDs valid"));
    session.untagged(cat("OK [UIDNEXT ", status.uidnext, "] Predicted next UID"));
    return read_only ? "[READ-ONLY] Opened for reading" : "[READ-WRITE] Opened";
}

// A deleted mailbox has nothing to expunge.
void expunge(Session& session, std::optional<std::span<const uint32_t>> uids) {
    session.require_writable();
    store::View& view = session.view();
    if (view.mailbox().is_deleted()) return;
    accepted(session.account().expunge(view.mailbox(), uids, session.origin()));
}

} // namespace

task<std::string> cmd_select(Session& session, Parser& args) {
    co_return open_mailbox(session, args, false);
}

task<std::string> cmd_examine(Session& session, Parser& args) {
    co_return open_mailbox(session, args, true);
}

// RFC 3501 6.4.2: expunges without a word, unless the mailbox is read-only.
task<std::string> cmd_close(Session& session, Parser& args) {
    args.end();
    const bool writable = !session.view().read_only() && !session.account().read_only();
    if (writable) expunge(session, std::nullopt);
    session.deselect();
    co_return "Closed";
}

// RFC 3691.
task<std::string> cmd_unselect(Session& session, Parser& args) {
    args.end();
    session.deselect();
    co_return "Unselected";
}

// RFC 3501 6.4.3: the untagged responses come from report_changes.
task<std::string> cmd_expunge(Session& session, Parser& args) {
    args.end();
    expunge(session, std::nullopt);
    co_return "Expunged";
}

// RFC 4315 2.1.
task<std::string> cmd_uid_expunge(Session& session, Parser& args) {
    args.space();
    const auto set = args.sequence_set();
    args.end();
    const auto uids = session.uids_of(session.numbers_of(set, true));
    expunge(session, uids);
    co_return "Expunged";
}

} // namespace tambo::imap

// COPY, MOVE (RFC 6851) and their UID forms, with COPYUID (RFC 4315 3).
#include "common/base/text.h"
#include "imapd/session/state.h"

namespace tambo::imap {

namespace {

std::string copy_uid(const store::Copied& copied) {
    return cat("[COPYUID ", copied.uidvalidity, ' ', format_uid_set(copied.from), ' ',
               format_uid_set(copied.to), "] ");
}

// All or none; returns the COPYUID code, empty if no message was named.
std::string run(Session& session, Parser& args, bool by_uid, bool moves) {
    args.space();
    const auto set = args.sequence_set();
    args.space();
    const auto name = args.mailbox();
    args.end();
    const auto& target = existing_name(name, true);
    if (moves) session.require_writable();
    const auto numbers = session.numbers_of(set, by_uid);
    if (!by_uid && session.some_expunged(numbers)) {
        throw No("EXPUNGEISSUED", "some of the messages are gone"); // RFC 2180 4.4
    }
    const auto info = session.account().info(target);
    if (!info) throw refused(store::Refusal::nonexistent, true);
    const auto uids = session.uids_of(numbers);
    if (uids.empty()) return ""; // RFC 3501 6.4.8: not an error
    store::Mailbox& from = session.view().mailbox();
    auto outcome = moves ? session.account().move(from, uids, target, session.origin())
                         : session.account().copy(from, uids, target, session.origin());
    return copy_uid(accepted(std::move(outcome), true));
}

// RFC 6851 4.3: COPYUID comes before the EXPUNGE responses.
std::string move(Session& session, Parser& args, bool by_uid) {
    const auto code = run(session, args, by_uid, true);
    if (!code.empty()) session.untagged(cat("OK ", code, "Moved"));
    return "Moved";
}

} // namespace

task<std::string> cmd_copy(Session& session, Parser& args) {
    co_return cat(run(session, args, false, false), "Copied");
}

task<std::string> cmd_uid_copy(Session& session, Parser& args) {
    co_return cat(run(session, args, true, false), "Copied");
}

task<std::string> cmd_move(Session& session, Parser& args) {
    co_return move(session, args, false);
}

task<std::string> cmd_uid_move(Session& session, Parser& args) {
    co_return move(session, args, true);
}

} // namespace tambo::imap

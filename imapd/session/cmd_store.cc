// STORE and UID STORE. RFC 3501 6.4.6, 6.4.8.
#include "common/base/text.h"
#include "imapd/session/args.h"
#include "imapd/session/state.h"

namespace tambo::imap {

namespace {

store::StoreMode mode_of(StoreArgs::How how) {
    switch (how) {
    case StoreArgs::How::add:
        return store::StoreMode::add;
    case StoreArgs::How::remove:
        return store::StoreMode::remove;
    case StoreArgs::How::replace:
        break;
    }
    return store::StoreMode::replace;
}

task<> tell(Session& session, const std::vector<NumberRange>& numbers, bool by_uid) {
    std::string line;
    for (const NumberRange& range : numbers) {
        for (uint32_t n = range.first; n <= range.last; ++n) {
            if (session.view().is_expunged(n)) continue;
            const store::Entry& entry = session.view().at(n);
            line = cat(n, by_uid ? " FETCH (UID " : " FETCH (FLAGS ");
            if (by_uid) cat_to(line, cat(entry.uid, " FLAGS "));
            session.put_flags_of(line, entry);
            line.push_back(')');
            session.untagged(line);
            if (session.crowded()) co_await session.io().flush();
            co_await session.breathe();
        }
    }
}

task<std::string> run(Session& session, Parser& args, bool by_uid) {
    args.space();
    auto wanted = parse_store(args);
    session.require_writable();
    const auto numbers = session.numbers_of(wanted.set, by_uid);
    const auto uids = session.uids_of(numbers);
    store::FlagChange change;
    change.mode = mode_of(wanted.how);
    change.flags = wanted.flags.system;
    change.keywords = std::move(wanted.flags.keywords);
    store::FlagOutcome outcome;
    if (!uids.empty()) {
        outcome = accepted(session.account().store_flags(session.view().mailbox(), uids, change,
                                                         session.origin()));
    }
    if (!wanted.silent) co_await tell(session, numbers, by_uid);
    if (outcome.keywords_dropped) throw No("LIMIT", "the mailbox has too many keywords");
    if (!by_uid && session.some_expunged(numbers)) {
        throw No("EXPUNGEISSUED", "some of the messages are gone"); // RFC 5530, RFC 2180 4.2
    }
    co_return "Stored";
}

} // namespace

task<std::string> cmd_store(Session& session, Parser& args) {
    auto text = co_await run(session, args, false);
    co_return text;
}

task<std::string> cmd_uid_store(Session& session, Parser& args) {
    auto text = co_await run(session, args, true);
    co_return text;
}

} // namespace tambo::imap

// FETCH and UID FETCH. RFC 3501 6.4.5, 6.4.8.
#include "imapd/session/fetch.h"
#include "imapd/session/state.h"

namespace tambo::imap {

namespace {

task<std::string> run(Session& session, Parser& args, bool by_uid) {
    args.space();
    const auto set = args.sequence_set();
    args.space();
    auto items = parse_fetch_items(args);
    args.end();
    const auto numbers = session.numbers_of(set, by_uid);
    Fetch fetch(session, std::move(items), by_uid);
    co_await fetch.run(numbers);
    if (fetch.damaged()) throw No("UNAVAILABLE", "some messages could not be read");
    co_return "Fetched";
}

} // namespace

task<std::string> cmd_fetch(Session& session, Parser& args) {
    auto text = co_await run(session, args, false);
    co_return text;
}

task<std::string> cmd_uid_fetch(Session& session, Parser& args) {
    auto text = co_await run(session, args, true);
    co_return text;
}

} // namespace tambo::imap

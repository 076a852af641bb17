// Commands about mailboxes by name: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS. Names
// are checked by the store (normalise_name): they are data, never paths.
#include "common/base/text.h"
#include "imapd/session/args.h"
#include "imapd/session/pattern.h"
#include "imapd/session/response.h"
#include "imapd/session/state.h"

namespace tambo::imap {

namespace {

// One trailing delimiter says "I am going to make names below": nothing to a server where every
// mailbox may have children. RFC 3501 6.3.3.
std::string without_delimiter(std::string name) {
    if (name.size() > 1 && name.back() == kDelimiter) name.pop_back();
    return name;
}

MailboxName only_name(Parser& args) {
    args.space();
    auto name = args.mailbox();
    args.end();
    return name;
}

} // namespace

// RFC 3501 6.3.3.
task<std::string> cmd_create(Session& session, Parser& args) {
    const auto name = only_name(args);
    accepted(session.account().create(without_delimiter(new_name(name))));
    co_return "Created";
}

// RFC 3501 6.3.4.
task<std::string> cmd_delete(Session& session, Parser& args) {
    const auto name = only_name(args);
    accepted(session.account().remove(existing_name(name)));
    co_return "Deleted";
}

// RFC 3501 6.3.5.
task<std::string> cmd_rename(Session& session, Parser& args) {
    args.space();
    const auto from = args.mailbox();
    args.space();
    const auto to = args.mailbox();
    args.end();
    const auto& known = existing_name(from);
    accepted(session.account().rename(known, without_delimiter(new_name(to))));
    co_return "Renamed";
}

// RFC 3501 6.3.6. Names that are gone may be subscribed (RFC 3501 6.3.9).
task<std::string> cmd_subscribe(Session& session, Parser& args) {
    const auto name = only_name(args);
    accepted(session.account().subscribe(without_delimiter(new_name(name)), true));
    co_return "Subscribed";
}

// RFC 3501 6.3.7.
task<std::string> cmd_unsubscribe(Session& session, Parser& args) {
    const auto name = only_name(args);
    accepted(session.account().subscribe(without_delimiter(new_name(name)), false));
    co_return "Unsubscribed";
}

// RFC 3501 6.3.10.
task<std::string> cmd_status(Session& session, Parser& args) {
    args.space();
    const auto wanted = parse_status(args);
    const auto& name = existing_name(wanted.mailbox);
    const auto status = accepted(session.account().status(name));
    std::string line = "STATUS ";
    put_mailbox(line, name);
    line.append(" (");
    for (const auto item : wanted.items) {
        if (line.back() != '(') line.push_back(' ');
        switch (item) {
        case StatusArgs::messages:
            cat_to(line, cat("MESSAGES ", status.messages));
            break;
        case StatusArgs::recent:
            cat_to(line, cat("RECENT ", status.recent));
            break;
        case StatusArgs::uid_next:
            cat_to(line, cat("UIDNEXT ", status.uidnext));
            break;
        case StatusArgs::uid_validity:
            cat_to(line, cat("UIDVALIDITY ", status.uidvalidity));
            break;
        case StatusArgs::unseen:
            cat_to(line, cat("UNSEEN ", status.unseen));
            break;
        }
    }
    session.untagged(cat(line, ')'));
    co_return "Status completed";
}

} // namespace tambo::imap

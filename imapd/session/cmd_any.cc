// Commands that have nothing to do with mailboxes: CAPABILITY, NOOP and CHECK, LOGOUT, ID, ENABLE,
// NAMESPACE.
#include "common/base/text.h"
#include "common/sys/log.h"
#include "imapd/session/args.h"
#include "imapd/session/capability.h"
#include "imapd/session/response.h"
#include "imapd/session/state.h"

#include <algorithm>

namespace tambo::imap {

// RFC 3501 6.1.1.
task<std::string> cmd_capability(Session& session, Parser& args) {
    args.end();
    session.untagged(cat("CAPABILITY ", kCapabilities));
    co_return "Capability completed";
}

// RFC 3501 6.1.2, and 6.4.1 CHECK: every change is on the disk already. What happened is reported
// after every command.
task<std::string> cmd_noop(Session&, Parser& args) {
    args.end();
    co_return "Completed";
}

// RFC 3501 6.1.3.
task<std::string> cmd_logout(Session& session, Parser& args) {
    args.end();
    session.deselect(); // changes are of no interest any more
    session.untagged("BYE Logging out");
    session.end();
    co_return "Logout completed";
}

// RFC 2971. What the client says goes to the log, nothing is decided by it.
task<std::string> cmd_id(Session& session, Parser& args) {
    args.space();
    const auto fields = parse_id(args);
    log::Event event("imap.client_id", log::Level::debug);
    event.sid(session.settings().sid).with("login", session.settings().address);
    for (const auto& [name, value] : fields) {
        const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), is_alnum);
        if (plain && value) event.with(cat("id_", to_lower(name)), *value);
    }
    session.untagged(cat("ID (\"name\" \"Tambo\" \"version\" \"", TAMBO_VERSION, "\")"));
    co_return "ID completed";
}

// RFC 5161: none of the extensions that are announced needs it, and unknown ones are ignored.
task<std::string> cmd_enable(Session& session, Parser& args) {
    do {
        args.space();
        static_cast<void>(args.atom());
    } while (!args.at_end());
    session.untagged("ENABLED");
    co_return "Enabled";
}

// RFC 2342: one personal namespace, no others.
task<std::string> cmd_namespace(Session& session, Parser& args) {
    args.end();
    session.untagged("NAMESPACE ((\"\" \"/\")) NIL NIL");
    co_return "Namespace completed";
}

// LOGIN, AUTHENTICATE, STARTTLS: RFC 3501 6.2 allows them before login only.
task<std::string> cmd_already(Session&, Parser&) {
    throw Bad("already logged in");
    co_return "";
}

} // namespace tambo::imap

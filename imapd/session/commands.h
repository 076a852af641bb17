// The commands of a session: one table row each, one file cmd_*.cc per group.
#pragma once

#include "common/event/task.h"
#include "imapd/session/parser.h"

#include <string>
#include <string_view>

namespace tambo::imap {

class Session;

// States in which a command is allowed, as bits. RFC 3501 3.
enum SessionState : unsigned { kAuthenticated = 1, kSelected = 2, kAnyState = 3 };

struct Command {
    std::string_view name; // upper case, "UID FETCH" with its prefix
    unsigned states;
    // Whether the answer may tell about expunged messages: sequence numbers move.
    bool may_expunge;
    // Starts behind the command's name. Returns the text behind "OK "; throws No and Bad.
    task<std::string> (*run)(Session& session, Parser& args);
};

// nullptr if there is no such command. Takes the name (both words of a UID command) off in.
const Command* take_command(Parser& in);

// cmd_any.cc
task<std::string> cmd_capability(Session& session, Parser& args);
task<std::string> cmd_noop(Session& session, Parser& args);
task<std::string> cmd_logout(Session& session, Parser& args);
task<std::string> cmd_id(Session& session, Parser& args);
task<std::string> cmd_enable(Session& session, Parser& args);
task<std::string> cmd_namespace(Session& session, Parser& args);
task<std::string> cmd_already(Session& session, Parser& args);
// cmd_select.cc
task<std::string> cmd_select(Session& session, Parser& args);
task<std::string> cmd_examine(Session& session, Parser& args);
task<std::string> cmd_close(Session& session, Parser& args);
task<std::string> cmd_unselect(Session& session, Parser& args);
task<std::string> cmd_expunge(Session& session, Parser& args);
task<std::string> cmd_uid_expunge(Session& session, Parser& args);
// cmd_mailbox.cc
task<std::string> cmd_create(Session& session, Parser& args);
task<std::string> cmd_delete(Session& session, Parser& args);
task<std::string> cmd_rename(Session& session, Parser& args);
task<std::string> cmd_subscribe(Session& session, Parser& args);
task<std::string> cmd_unsubscribe(Session& session, Parser& args);
task<std::string> cmd_status(Session& session, Parser& args);
// cmd_list.cc
task<std::string> cmd_list(Session& session, Parser& args);
task<std::string> cmd_lsub(Session& session, Parser& args);
// cmd_append.cc
task<std::string> cmd_append(Session& session, Parser& args);
// cmd_fetch.cc
task<std::string> cmd_fetch(Session& session, Parser& args);
task<std::string> cmd_uid_fetch(Session& session, Parser& args);
// cmd_store.cc
task<std::string> cmd_store(Session& session, Parser& args);
task<std::string> cmd_uid_store(Session& session, Parser& args);
// cmd_copy.cc
task<std::string> cmd_copy(Session& session, Parser& args);
task<std::string> cmd_uid_copy(Session& session, Parser& args);
task<std::string> cmd_move(Session& session, Parser& args);
task<std::string> cmd_uid_move(Session& session, Parser& args);
// cmd_search.cc
task<std::string> cmd_search(Session& session, Parser& args);
task<std::string> cmd_uid_search(Session& session, Parser& args);
// cmd_idle.cc
task<std::string> cmd_idle(Session& session, Parser& args);

} // namespace tambo::imap

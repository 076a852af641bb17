#include "imapd/session/commands.h"

#include "common/base/text.h"

#include <array>

namespace tambo::imap {

namespace {

// tidy: table
constexpr std::array<Command, 36> kCommands{{
    {"APPEND", kAnyState, true, cmd_append},
    {"AUTHENTICATE", kAnyState, true, cmd_already},
    {"CAPABILITY", kAnyState, true, cmd_capability},
    {"CHECK", kSelected, true, cmd_noop},
    {"CLOSE", kSelected, true, cmd_close},
    {"COPY", kSelected, true, cmd_copy},
    {"CREATE", kAnyState, true, cmd_create},
    {"DELETE", kAnyState, true, cmd_delete},
    {"ENABLE", kAnyState, true, cmd_enable},
    {"EXAMINE", kAnyState, true, cmd_examine},
    {"EXPUNGE", kSelected, true, cmd_expunge},
    {"FETCH", kSelected, false, cmd_fetch},
    {"ID", kAnyState, true, cmd_id},
    {"IDLE", kAnyState, true, cmd_idle},
    {"LIST", kAnyState, true, cmd_list},
    {"LOGIN", kAnyState, true, cmd_already},
    {"LOGOUT", kAnyState, true, cmd_logout},
    {"LSUB", kAnyState, true, cmd_lsub},
    {"MOVE", kSelected, true, cmd_move},
    {"NAMESPACE", kAnyState, true, cmd_namespace},
    {"NOOP", kAnyState, true, cmd_noop},
    {"RENAME", kAnyState, true, cmd_rename},
    {"SEARCH", kSelected, false, cmd_search},
    {"SELECT", kAnyState, true, cmd_select},
    {"STARTTLS", kAnyState, true, cmd_already},
    {"STATUS", kAnyState, true, cmd_status},
    {"STORE", kSelected, false, cmd_store},
    {"SUBSCRIBE", kAnyState, true, cmd_subscribe},
    {"UID COPY", kSelected, true, cmd_uid_copy},
    {"UID EXPUNGE", kSelected, true, cmd_uid_expunge},
    {"UID FETCH", kSelected, true, cmd_uid_fetch},
    {"UID MOVE", kSelected, true, cmd_uid_move},
    {"UID SEARCH", kSelected, true, cmd_uid_search},
    {"UID STORE", kSelected, true, cmd_uid_store},
    {"UNSELECT", kSelected, true, cmd_unselect},
    {"UNSUBSCRIBE", kAnyState, true, cmd_unsubscribe},
}};

} // namespace

const Command* take_command(Parser& in) {
    std::string name = to_upper(in.atom());
    if (name == "UID") {
        in.space();
        name = cat("UID ", to_upper(in.atom()));
    }
    for (const Command& command : kCommands) {
        if (command.name == name) return &command;
    }
    return nullptr;
}

} // namespace tambo::imap

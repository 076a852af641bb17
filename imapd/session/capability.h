// What we announce: only extensions that work completely.
#pragma once

namespace tambo::imap {

// After login, as CAPABILITY and the login's response code list them. Before login imapd adds what
// fits then.
inline constexpr const char* kCapabilities =
    "IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE UNSELECT SPECIAL-USE CHILDREN "
    "LIST-EXTENDED";

} // namespace tambo::imap

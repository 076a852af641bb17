// One IMAP session of an account, from the tagged OK of the login to LOGOUT: what mailboxd's
// account process runs for each client that was handed to it. TLS, the greeting and everything
// before the login are imapd's.
#pragma once

#include "common/base/limits.h"
#include "common/base/unique_fd.h"
#include "common/event/nursery.h"
#include "common/store/account.h"

#include <cstdint>
#include <string>

namespace tambo::imap {

struct SessionSettings {
    std::string sid;       // for events
    std::string client_ip; // for events
    std::string address;   // of the account, for events
    // AttachSession::session_hint: the tag of the client's login command, which the session answers
    // first of all. Empty: nothing is said before the client speaks.
    std::string login_tag;
    uint64_t message_bytes_max = 50ull << 20; // APPEND refuses larger ones (smtp.message_size_max)
    // A client that says nothing for so long is logged out (RFC 3501 5.4).
    int64_t silence_ms = limits::imap_idle_timeout_ms;
    // A client in IDLE hears so often that the connection lives: address translators forget silent
    // ones.
    int64_t still_here_ms = 120'000;
};

// Serves the client until LOGOUT, its end of stream (throws Closed), half an hour of silence, or a
// failure of the account (then BYE, and account.failure() is set). Throws what Stream throws and
// Cancelled; spawn it into the nursery. All sessions of an account share one Account and see each
// other's changes at once. account and nursery must outlive the session.
//
// client: a connected stream socket that carries plain bytes of the protocol; made non-blocking.
task<>
serve_imap(Nursery& nursery, UniqueFd client, store::Account& account, SessionSettings settings);

} // namespace tambo::imap

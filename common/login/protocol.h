// What tells one login protocol from another, for all that IMAP and POP3 have in common: the doors,
// the wait for a login, the hand-over to an account process, the carrying of bytes after it.
#pragma once

#include "common/ipc/messages/authd.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tambo::login {

class Connection;
class Dialogue;

// How a session has ended, as far as the carrier knows.
struct Ending {
    std::string_view last_words; // of the session since the client last spoke; the end of them
    uint64_t bytes_out = 0;      // all that it has said
    bool client_is_up = false;   // the client has not closed its side
};

// What the log and the client are told of it. why empty: as it was; say empty: nothing.
struct Farewell {
    std::string why, say;
};

// One constant for each daemon.
struct Protocol {
    std::string_view clear_door, tls_door; // names of its listeners; the first is its name
    ipc::Service service;
    int64_t silence_ms;       // the client's, before the login
    int64_t stalled_ms;       // after it: longer than what the session itself allows
    bool has_literals;        // clients send a line's end by itself: acknowledged at once
    std::string_view full;    // the whole line for one who is too many
    std::string_view timeout; // the whole line for one who was silent; empty: just close
    std::unique_ptr<Dialogue> (*dialogue)(Connection& connection);
    Farewell (*part)(const Ending& ending);
};

} // namespace tambo::login

// One POP3 session of an account, from the answer to the login to QUIT: what mailboxd's account
// process runs for each client that was handed to it. TLS, greeting and login are pop3d's.
#pragma once

#include "common/base/unique_fd.h"
#include "common/event/nursery.h"
#include "common/store/account.h"

#include <string>

namespace tambo::pop3 {

struct SessionSettings {
    std::string sid, client_ip, address; // for events
};

// Serves the client until QUIT, its end of stream (throws Closed) or ten minutes of silence. Its
// first output answers PASS or AUTH: "+OK" or "-ERR [IN-USE]". account and nursery outlive it.
task<>
serve_pop3(Nursery& nursery, UniqueFd client, store::Account& account, SessionSettings settings);

} // namespace tambo::pop3

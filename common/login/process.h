// The whole life of imapd(8) or pop3d(8): what their main() is.
#pragma once

#include "common/login/protocol.h"

namespace tambo::login {

// Boots from master as the program of this name, enters its sandbox, serves until master ends it or
// its generation is over. Does not return before. ALPN: the protocol's clear_door.
void run_process(const char* program, const Protocol& protocol);

} // namespace tambo::login

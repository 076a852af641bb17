// What smtpd asks authd during a transaction, as checks that throw the refusal.
#pragma once

#include "common/event/task.h"
#include "common/ipc/messages/authd.h"
#include "smtpd/service.h"

#include <string>

namespace tambo::smtpd {

// Throws Reject if authd has an objection (a code other than 0).
void throw_refusal(const ipc::ReplyText& verdict);

// The login behind the token may send as address ("" is the null sender). Throws Reject; PeerLost
// if authd is away.
task<> require_own_address(Service& service, std::string token, std::string address);

// The verified name of a client for its trace header: PTR, then A or AAAA back to the same address
// (RFC 8601 2.7.3 "iprev"). Empty if there is none or DNS takes too long; never throws PeerLost.
task<std::string> verified_client_name(Service& service, std::string ip);

} // namespace tambo::smtpd

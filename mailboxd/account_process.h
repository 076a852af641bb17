// One account in use: the only process that opens its index. It serves the account's sessions and
// files its deliveries, locked into the account's directory. It lives as long as its channel to the
// keeper; what it must never do is in sandbox profile `account`.
#pragma once

#include "common/sys/sandbox.h"
#include "mailboxd/spawn.h"

namespace tambo::mailboxd {

// Runs in a fresh fork of the zygote and ends it. mail: the directory of all accounts, closed
// before anything of the account is looked at.
[[noreturn]] void run_account_process(Spawn order, int mail, const sandbox::Prepared& sandbox);

} // namespace tambo::mailboxd

// Checks of a store on request: of an account that nobody has open, or of the one that is.
#pragma once

#include "common/base/time.h"
#include "common/event/nursery.h"
#include "common/ipc/messages/admin.h"
#include "common/ipc/messages/keeper.h"
#include "common/store/account.h"
#include "common/store/fsck.h"
#include "mailboxd/spawn.h"

namespace tambo::mailboxd {

// As every opening of an account by its process: ids, epoch, facts, limits.
store::Options store_options(const Spawn& order, Clock& clock);

// Bounded: an answer is one datagram.
ipc::FsckReport answer_of(const store::Outcome<store::FsckReport>& report);

// The same for the command line: what an account process says is cut to a datagram, with a row for
// how much is missing. address: at most limits::smtp_path_bytes.
ipc::AdminAnswer rows_of(const std::string& address, const ipc::FsckReport& report);

ipc::AccountUsage usage_of(const store::Account& account);

// The process of purpose fsck: answers what is asked about the account until the keeper lets go,
// and changes nothing that it was not asked to change.
class FsckService {
  public:
    // The current directory is the account's.
    FsckService(Spawn order, Clock& clock) : order_(std::move(order)), clock_(clock) {}

    int run();

  private:
    task<ipc::FsckReport> examine(ipc::Fsck question);
    task<ipc::AccountUsage> usage(ipc::AskUsage question);

    Spawn order_;
    Clock& clock_;
};

} // namespace tambo::mailboxd

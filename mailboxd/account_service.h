// What an account process does while it serves: sessions, deliveries, the quota mark.
#pragma once

#include "common/event/gate.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/delivery.h"
#include "common/ipc/messages/keeper.h"
#include "common/store/account.h"
#include "mailboxd/spawn.h"

#include <functional>
#include <string>
#include <vector>

namespace tambo::mailboxd {

class AccountService {
  public:
    // account outlives the service; order's facts are copied.
    AccountService(Nursery& nursery, store::Account& account, const Spawn& order);

    void attach(UniqueFd keeper) { keeper_.attach(std::move(keeper)); }
    // A piece of upkeep when nothing else is going on.
    void tidy();
    // The keeper has let go of the process, or the store failed.
    std::function<void()> on_end;

  private:
    // A delivery that waits for the transaction of this turn of the loop.
    struct Filing {
        store::Delivery delivery;
        std::string fallback_from; // the detail mailbox, when it does not exist
        ipc::Delivered answer;
    };
    task<ipc::AttachAnswer> attach_session(ipc::AttachSession message);
    task<ipc::Delivered> file(ipc::FileMessage message);
    task<> run_session(ipc::AttachSession message);
    void file_all();
    std::string mailbox_for(const std::string& detail) const;
    void report_load();
    void report_quota();
    void check_failure();

    Nursery& nursery_;
    store::Account& account_;
    Id id_;
    std::string address_;
    uint64_t message_bytes_max_;
    ipc::Channel keeper_;
    std::vector<Filing*> waiting_;
    Gate filed_;
    uint32_t sessions_ = 0;
    bool full_ = false;
};

} // namespace tambo::mailboxd

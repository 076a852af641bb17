// What an account process does while it serves: sessions, deliveries, the quota mark, upkeep. It
// lives as long as its channel to the keeper.
#pragma once

#include "common/event/gate.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/delivery.h"
#include "common/ipc/messages/keeper.h"
#include "common/store/account.h"
#include "mailboxd/spawn.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tambo::mailboxd {

class AccountService final : private store::AccountObserver {
  public:
    // The current directory is the account's. pidfd: of this process, for the keeper.
    AccountService(Loop& loop, Clock& clock, Spawn order, UniqueFd pidfd);
    ~AccountService() override;

    // Until the keeper lets go or the store fails; then sessions end, the account is closed. The
    // status to exit with: 0, or 1 after a failure.
    int run();

  private:
    // A delivery that waits for the transaction of this turn of the loop.
    struct Filing {
        store::Delivery delivery;
        uint64_t bytes = 0; // as the quota counts them
        ipc::Delivered answer;
        bool done = false;
    };
    // The account, opened at the first need; nullptr: it cannot be, refusal_ says why.
    store::Account* account();
    task<ipc::AttachAnswer> attach(ipc::AttachSession message);
    task<ipc::Delivered> file(ipc::FileMessage message);
    task<ipc::FsckReport> fsck(ipc::Fsck question);
    task<ipc::AccountUsage> usage(ipc::AskUsage question);
    task<> run_session(ipc::AttachSession message);
    void file_all();
    void answer(Filing& filing, const store::Outcome<store::Delivered>& outcome);
    std::string mailbox_for(const std::string& detail);

    void tend(); // each second
    void release_memory();
    void report_load();
    void report_room();
    void set_quota(ipc::SetQuota message);
    void check_failure();
    void end();
    void finish(); // what is due before the account is closed
    bool snapshot_is_due() const;

    void mailbox_created(std::string_view) override { touched_ = true; }
    void mailbox_deleted(std::string_view) override { touched_ = true; }
    void mailbox_renamed(std::string_view, std::string_view) override { touched_ = true; }
    void subscription_changed(std::string_view, bool) override { touched_ = true; }
    void status_changed(std::string_view) override { touched_ = true; }

    Loop& loop_;
    Clock& clock_;
    Spawn order_;
    UniqueFd pidfd_;
    Nursery nursery_;
    ipc::Channel keeper_;
    Gate filed_;
    std::unique_ptr<store::Account> account_;
    std::optional<store::Refusal> refusal_;
    std::vector<Filing*> waiting_;
    uint32_t sessions_ = 0;
    bool touched_ = true; // something changed since the last upkeep
    bool upkeep_ = false; // and upkeep has more to do
    bool stirred_ = true; // a session has come or gone since memory was given back
    int64_t quiet_since_ms_ = 0, upkeep_done_ms_ = 0;
    // As authd was told; it does not know what a process before knew.
    std::optional<uint64_t> refused_from_bytes_;
    uint64_t refused_bytes_ = 0; // smallest message that did not fit; 0: none
    bool ending_ = false;
};

} // namespace tambo::mailboxd

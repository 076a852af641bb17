// The keeper: passes sessions and deliveries to the process of their account, makes and buries
// account directories, and knows nothing of mail.
#pragma once

#include "common/conf/mailboxd_config.h"
#include "common/ipc/admin.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/authd.h"
#include "common/ipc/messages/delivery.h"
#include "common/ipc/messages/keeper.h"
#include "mailboxd/account_table.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace tambo::mailboxd {

class Keeper {
  public:
    // The current directory is mail/. All must outlive the keeper's handlers.
    Keeper(Nursery& nursery,
           Zygote& zygote,
           Clock& clock,
           const conf::MailboxdConfig& config,
           uint32_t epoch,
           Timing timing = {});

    ipc::Channel& authd() { return authd_; }
    ipc::Channel& deliverd() { return deliverd_; }
    void serve_admin(ipc::AdminServer& admin);
    void configure(const conf::MailboxdConfig& config) { table_.configure(config); }
    // master says that the disk has failed, or works again.
    void set_read_only(bool read_only) { table_.set_read_only(read_only); }
    // Ends all account processes; then calls done.
    void drain(std::function<void()> done);
    // Once a second.
    void tick();

    // An account process met a fault that concerns everybody.
    std::function<void(const std::string& what)> on_storage_fault;

  private:
    // A session on its way to the account's process, which may be ending or not be there yet.
    struct Attaching {
        Id account;
        bool kicked = false; // since it came
    };
    task<ipc::AttachAnswer> attach(ipc::AttachSession message);
    task<ipc::Delivered> file(ipc::FileMessage message);
    task<ipc::ReplyText> prepare(ipc::PrepareAccount message);
    void kick(ipc::KickAccount message);
    void changed(ipc::AccountChanged message);
    task<> ask_again(std::vector<Id> accounts);
    // nullopt: no such account.
    task<std::optional<AccountFacts>> ask(Id account);
    task<ipc::AdminAnswer> fsck(ipc::AdminRequest request);
    task<ipc::AdminAnswer> usage(ipc::AdminRequest request);
    task<ipc::AccountUsage> usage_of(Id account, AccountFacts facts);
    task<ipc::FsckReport> check_account(Id account, AccountFacts facts, bool repair);
    ipc::AdminAnswer status() const;
    void bury(const Id& account);
    void erase_old();
    task<> erase(Id account);

    Nursery& nursery_;
    Clock& clock_;
    AccountTable table_;
    ipc::Channel authd_, deliverd_;
    std::vector<Attaching*> attaching_;
    uint64_t facts_number_ = 0; // of the newest facts that were asked for
    int64_t next_erase_ms_ = 0;
};

} // namespace tambo::mailboxd

// The keeper: one entry per account in use, one process behind each. It passes sessions and
// deliveries on, and knows nothing of mail. Account processes end after 30 idle seconds; one that
// keeps crashing pauses its account, not the others.
#pragma once

#include "common/conf/mailboxd_config.h"
#include "common/ipc/admin.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/delivery.h"
#include "common/ipc/messages/keeper.h"
#include "mailboxd/zygote.h"

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

namespace tambo::mailboxd {

class Keeper {
  public:
    // The current directory is mail/. All must outlive the keeper's handlers.
    Keeper(Nursery& nursery, Zygote& zygote, conf::MailboxdConfig config, uint32_t epoch);
    ~Keeper();

    ipc::Channel& authd() { return authd_; }
    ipc::Channel& deliverd() { return deliverd_; }
    void serve_admin(ipc::AdminServer& admin);
    void configure(const conf::MailboxdConfig& config) { config_ = config; }
    // Ends processes that nobody used for a while; call every second.
    void reap_idle();

  private:
    struct Entry;
    task<ipc::AttachAnswer> attach(ipc::AttachSession message);
    task<ipc::Delivered> file(ipc::FileMessage message);
    task<ipc::ReplyText> prepare(ipc::PrepareAccount message);
    void kick(ipc::KickAccount message);
    task<ipc::AdminAnswer> fsck(ipc::AdminRequest request);
    ipc::AdminAnswer status() const;

    // The entry with a running process; nullptr while the account is paused.
    Entry* running(const Id& account, const std::string& address, const Spawn& facts);
    task<Spawn> facts_of(Id account);
    bool start(Entry& entry, Spawn order);
    void lost(Entry& entry);

    Nursery& nursery_;
    Zygote& zygote_;
    conf::MailboxdConfig config_;
    uint32_t epoch_;
    ipc::Channel authd_, deliverd_;
    std::unordered_map<Id, std::unique_ptr<Entry>, IdHash> entries_;
};

} // namespace tambo::mailboxd

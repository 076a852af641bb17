// The accounts in use: for each one process, its channel, and how it ends. One account's trouble
// (crashes, a process that hangs) stays with that account.
#pragma once

#include "common/conf/mailboxd_config.h"
#include "common/event/gate.h"
#include "common/ipc/channel.h"
#include "common/ipc/messages/keeper.h"
#include "mailboxd/crash_history.h"
#include "mailboxd/zygote.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace tambo::mailboxd {

// Who the account is, as authd says.
struct AccountFacts {
    std::string address;
    uint64_t quota_bytes = 0, quota_messages = 0;
    uint64_t number = 0; // facts with a higher one are newer
};

// For tests; these are the real ones (ARCHITECTURE.md, "The life of a login").
struct Timing {
    int64_t idle_ms = 30'000; // without session or delivery, then the process ends
    int64_t kill_ms = 15'000; // for a process that was let go to end by itself
    int64_t wait_ms = 20'000; // for somebody who needs a process while the old one ends
};

class AccountTable {
  public:
    struct Resident;

    // A running process for as long as the lease is held; or none, and why not: "paused", "busy",
    // "draining".
    class Lease {
      public:
        explicit Lease(Resident& resident);
        explicit Lease(const char* refusal) : refusal_(refusal) {}
        Lease(Lease&& other) noexcept;
        Lease& operator=(Lease&&) = delete;
        ~Lease();

        explicit operator bool() const { return resident_ != nullptr; }
        const char* refusal() const { return refusal_; }
        ipc::Channel& channel() const;

      private:
        Resident* resident_ = nullptr;
        const char* refusal_ = "";
    };

    // All must outlive the table; nursery must be empty before it goes.
    AccountTable(Nursery& nursery, Zygote& zygote, uint32_t epoch, Timing timing);
    ~AccountTable();

    void configure(const conf::MailboxdConfig& config) { config_ = config; }
    // From now on accounts are opened so; all processes end.
    void set_read_only(bool read_only);
    bool read_only() const { return read_only_; }

    bool is_running(const Id& account) const;
    // Nobody has a process of the account, nor waits for one.
    bool is_absent(const Id& account) const;
    // Who has, or had a moment ago, a process.
    std::vector<Id> accounts() const;
    // For the process there is and those to come. If there is none, but one has said that there was
    // no room, on_room hears that there is: nobody knows better.
    void take_facts(const Id& account, const AccountFacts& facts);
    // Facts older than those that are known count for nothing. Throws Cancelled.
    task<Lease> acquire(Id account, AccountFacts facts);
    // A process of another purpose with the account's directory to itself: its serving process is
    // ended first, and nobody gets one while the lease is held.
    task<Lease> acquire_alone(Id account, AccountFacts facts, Purpose purpose);
    // Ends the account's process: its sessions end, its deliveries go to a successor.
    void kick(const Id& account);
    // Runs action now, or when the account's process has ended.
    void when_gone(const Id& account, std::function<void()> action);
    // Ends all for good; on_empty is called when none is left.
    void drain();
    std::function<void()> on_empty;

    // Once a second.
    void tick();

    // What account processes say on their own account.
    std::function<void(const ipc::AccountRoom&)> on_room;
    std::function<void(const std::string& what, bool storage)> on_fault;

    struct Counts {
        size_t running = 0, ending = 0, paused = 0, sessions = 0;
    };
    Counts counts() const;

  private:
    Resident& resident(const Id& account);
    void start(Resident& resident, Purpose purpose);
    void tell_room(Resident& resident, uint64_t refused_from_bytes);
    void forget_room(Resident& resident);
    void end(Resident& resident);
    void lost(Resident& resident);
    void gone(Resident& resident);

    Nursery& nursery_;
    Zygote& zygote_;
    uint32_t epoch_;
    Timing timing_;
    conf::MailboxdConfig config_;
    bool read_only_ = false, draining_ = false;
    Gate changed_; // some process ended
    std::unordered_map<Id, std::unique_ptr<Resident>, IdHash> residents_;
};

} // namespace tambo::mailboxd

#include "mailboxd/account_table.h"

#include "common/base/check.h"
#include "common/sys/fdpass.h"
#include "common/sys/log.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>
#include <vector>

namespace tambo::mailboxd {

struct AccountTable::Resident {
    enum class State {
        absent,  // no process
        running, // connected
        alone,   // a process of another purpose has the directory
        ending,  // the channel is closed, the process perhaps still there
    };

    AccountTable& table;
    Id account;
    AccountFacts facts;
    State state = State::absent;
    ipc::Channel channel; // to the process, and to its successors
    UniqueFd process;     // pidfd
    std::unique_ptr<FdWatch> exit_watch;
    uint32_t sessions = 0;
    uint32_t leases = 0;
    bool let_go = false; // we closed the channel
    int64_t last_use_ms = 0, ending_since_ms = 0;
    CrashHistory crashes;
    uint64_t refused_from_bytes = 0; // as authd was told
    std::vector<std::function<void()>> when_gone;

    Resident(AccountTable& t, const Id& id)
        : table(t), account(id), channel(t.nursery_, "account") {
        channel.on<ipc::AccountStarted>(*this, &Resident::started);
        channel.on<ipc::AccountLoad>(*this, &Resident::load);
        channel.on<ipc::AccountRoom>(*this, &Resident::room);
        channel.on<ipc::AccountFault>(*this, &Resident::fault);
        channel.on_lost = [this] { table.lost(*this); };
    }
    void started(ipc::AccountStarted message) {
        if (!message.process || process) return;
        process = std::move(message.process);
        exit_watch = std::make_unique<FdWatch>(table.nursery_.loop(), process.get(), on_exit, this);
        exit_watch->arm_read(0);
    }
    static void on_exit(void* self, unsigned) {
        auto* resident = static_cast<Resident*>(self);
        // What it said last is still in the channel; its end comes behind that.
        resident->exit_watch->disarm_read();
        if (resident->state == State::ending) return resident->table.gone(*resident);
        resident->process.reset();
    }
    void load(ipc::AccountLoad message) {
        sessions = message.sessions;
        touch();
    }
    void room(ipc::AccountRoom message) { table.tell_room(*this, message.refused_from_bytes); }
    void take(const AccountFacts& fresh) {
        if (fresh.number >= facts.number) facts = fresh;
    }
    void fault(ipc::AccountFault message) {
        if (table.on_fault) table.on_fault(message.what, message.storage);
    }
    void touch() { last_use_ms = Loop::monotonic_ms(); }
    bool in_use() const { return sessions != 0 || leases != 0; }
};

using State = AccountTable::Resident::State;

AccountTable::Lease::Lease(Resident& resident) : resident_(&resident) {
    ++resident.leases;
    resident.touch();
}

AccountTable::Lease::Lease(Lease&& other) noexcept
    : resident_(std::exchange(other.resident_, nullptr)), refusal_(other.refusal_) {}

AccountTable::Lease::~Lease() {
    if (!resident_) return;
    --resident_->leases;
    resident_->touch();
    if (resident_->state == State::alone) resident_->table.end(*resident_);
}

ipc::Channel& AccountTable::Lease::channel() const {
    check(resident_ != nullptr, "channel of an empty lease");
    return resident_->channel;
}

AccountTable::AccountTable(Nursery& nursery, Zygote& zygote, uint32_t epoch, Timing timing)
    : nursery_(nursery), zygote_(zygote), epoch_(epoch), timing_(timing), changed_(nursery) {}

AccountTable::~AccountTable() = default;

AccountTable::Resident& AccountTable::resident(const Id& account) {
    auto& slot = residents_[account];
    if (!slot) slot = std::make_unique<Resident>(*this, account);
    return *slot;
}

bool AccountTable::is_running(const Id& account) const {
    const auto found = residents_.find(account);
    return found != residents_.end() && found->second->state == State::running;
}

bool AccountTable::is_absent(const Id& account) const {
    const auto found = residents_.find(account);
    if (found == residents_.end()) return true;
    return found->second->state == State::absent && found->second->leases == 0;
}

// ---- life of a process

void AccountTable::start(Resident& resident, Purpose purpose) {
    auto [mine, theirs] = socket_pair(SOCK_SEQPACKET);
    Spawn order;
    order.account = resident.account;
    order.address = resident.facts.address;
    order.purpose = purpose;
    order.epoch = epoch_;
    order.read_only = read_only_;
    order.quota_bytes = resident.facts.quota_bytes;
    order.quota_messages = resident.facts.quota_messages;
    order.message_bytes_max = static_cast<uint64_t>(config_.message_size_max);
    order.disk_reserve_bytes = static_cast<uint64_t>(config_.disk_reserve);
    order.channel = std::move(theirs);
    resident.exit_watch.reset();
    resident.process.reset();
    resident.sessions = 0;
    resident.let_go = false;
    resident.touch();
    resident.state = purpose == Purpose::serve ? State::running : State::alone;
    // If the zygote is gone, the channel's other end closes here and the keeper ends.
    zygote_.spawn(order);
    order.channel.reset();
    resident.channel.attach(std::move(mine));
}

void AccountTable::end(Resident& resident) {
    if (!resident.channel.connected()) return;
    resident.let_go = true;
    resident.channel.drop("let go");
}

// The channel has closed: by us, or because the process ended.
void AccountTable::lost(Resident& resident) {
    const bool crashed = !resident.let_go && resident.state == State::running;
    resident.sessions = 0;
    resident.ending_since_ms = Loop::monotonic_ms();
    if (crashed) {
        const bool pause = resident.crashes.crashed(resident.ending_since_ms);
        log::Event("account.process_lost", log::Level::error)
            .with("account", resident.facts.address)
            .with("directory", resident.account.text())
            .with("paused", pause ? "yes" : "no");
    }
    // It may have made room and not said so; and what it refused, nobody remembers now.
    if (crashed || resident.refused_from_bytes > 1) forget_room(resident);
    resident.state = State::ending;
    // Without a pidfd (it ended before it began, or an old kernel) there is nothing to wait for:
    // its successor waits for the index instead.
    if (resident.process) return;
    nursery_.loop().post([this, account = resident.account] {
        const auto found = residents_.find(account);
        if (found != residents_.end() && found->second->state == State::ending) {
            gone(*found->second);
        }
    });
}

void AccountTable::gone(Resident& resident) {
    resident.state = State::absent;
    resident.exit_watch.reset();
    resident.process.reset();
    for (const auto& action : std::exchange(resident.when_gone, {}))
        action();
    changed_.pulse();
    // Deliveries that the lost process did not answer are repeated to its successor.
    const bool wanted = !resident.channel.idle() && !draining_;
    if (wanted && !resident.crashes.paused(Loop::monotonic_ms())) {
        start(resident, Purpose::serve);
    }
    if (draining_ && counts().running + counts().ending == 0 && on_empty) on_empty();
}

// ---- what is known of accounts

void AccountTable::tell_room(Resident& resident, uint64_t refused_from_bytes) {
    resident.refused_from_bytes = refused_from_bytes;
    ipc::AccountRoom message;
    message.account = resident.account; // whatever the process says
    message.refused_from_bytes = refused_from_bytes;
    if (on_room) on_room(message);
}

void AccountTable::forget_room(Resident& resident) {
    if (resident.refused_from_bytes > 0) tell_room(resident, 0);
}

std::vector<Id> AccountTable::accounts() const {
    std::vector<Id> all;
    for (const auto& [account, resident] : residents_)
        all.push_back(account);
    return all;
}

void AccountTable::take_facts(const Id& account, const AccountFacts& facts) {
    const auto found = residents_.find(account);
    if (found == residents_.end()) return;
    Resident& resident = *found->second;
    resident.take(facts);
    if (resident.state == State::running) {
        ipc::SetQuota message;
        message.bytes = resident.facts.quota_bytes;
        message.messages = resident.facts.quota_messages;
        resident.channel.send(message);
    } else {
        forget_room(resident);
    }
}

// ---- who needs one

task<AccountTable::Lease> AccountTable::acquire(Id account, AccountFacts facts) {
    const int64_t deadline = Loop::monotonic_ms() + timing_.wait_ms;
    for (;;) {
        if (draining_) co_return Lease("draining");
        Resident& wanted = resident(account);
        if (!facts.address.empty()) wanted.take(facts);
        wanted.touch();
        const int64_t now = Loop::monotonic_ms();
        if (wanted.state == State::running) co_return Lease(wanted);
        if (wanted.crashes.paused(now)) co_return Lease("paused");
        if (wanted.state == State::absent) {
            start(wanted, Purpose::serve);
            co_return Lease(wanted);
        }
        if (now >= deadline) co_return Lease("busy");
        const int64_t left_ms = deadline - now;
        co_await changed_.wait(left_ms);
    }
}

task<AccountTable::Lease>
AccountTable::acquire_alone(Id account, AccountFacts facts, Purpose purpose) {
    const int64_t deadline = Loop::monotonic_ms() + timing_.wait_ms;
    for (;;) {
        if (draining_) co_return Lease("draining");
        Resident& wanted = resident(account);
        if (!facts.address.empty()) wanted.take(facts);
        wanted.touch();
        if (wanted.state == State::running) end(wanted);
        const int64_t now = Loop::monotonic_ms();
        // Nobody else may hold a lease: a waiting delivery would be sent to the wrong process.
        if (wanted.state == State::absent && wanted.leases == 0) {
            start(wanted, purpose);
            co_return Lease(wanted);
        }
        if (now >= deadline) co_return Lease("busy");
        const int64_t left_ms = std::min<int64_t>(deadline - now, 100);
        co_await changed_.wait(left_ms);
    }
}

void AccountTable::kick(const Id& account) {
    const auto found = residents_.find(account);
    if (found == residents_.end() || found->second->state != State::running) return;
    log::Event("account.kicked").with("account", found->second->facts.address);
    end(*found->second);
}

void AccountTable::when_gone(const Id& account, std::function<void()> action) {
    const auto found = residents_.find(account);
    if (found == residents_.end() || found->second->state == State::absent) return action();
    found->second->when_gone.push_back(std::move(action));
}

void AccountTable::set_read_only(bool read_only) {
    if (read_only_ == read_only) return;
    read_only_ = read_only;
    for (const auto& [account, resident] : residents_) {
        if (resident->state == State::running) end(*resident);
    }
}

void AccountTable::drain() {
    draining_ = true;
    for (const auto& [account, resident] : residents_)
        end(*resident);
    changed_.pulse();
    const Counts left = counts();
    if (left.running + left.ending == 0 && on_empty) on_empty();
}

void AccountTable::tick() {
    const int64_t now = Loop::monotonic_ms();
    for (const auto& [account, resident] : residents_) {
        if (resident->state == State::running && !resident->in_use() &&
            now - resident->last_use_ms >= timing_.idle_ms) {
            end(*resident);
        }
        if (resident->state == State::ending && resident->process &&
            now - resident->ending_since_ms >= timing_.kill_ms) {
            log::Event("account.process_hangs", log::Level::error)
                .with("account", resident->facts.address);
            ::syscall(SYS_pidfd_send_signal, resident->process.get(), SIGKILL, nullptr, 0);
            resident->ending_since_ms = now;
        }
    }
    std::erase_if(residents_, [now](const auto& item) {
        Resident& resident = *item.second;
        return resident.state == State::absent && resident.leases == 0 && resident.channel.idle() &&
               resident.crashes.clean(now);
    });
}

AccountTable::Counts AccountTable::counts() const {
    Counts out;
    const int64_t now = Loop::monotonic_ms();
    for (const auto& [account, resident] : residents_) {
        out.running += resident->state == State::running || resident->state == State::alone;
        out.ending += resident->state == State::ending;
        out.paused += resident->crashes.paused(now);
        out.sessions += resident->sessions;
    }
    return out;
}

} // namespace tambo::mailboxd

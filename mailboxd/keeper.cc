#include "mailboxd/keeper.h"

#include "common/base/text.h"
#include "common/store/layout.h"
#include "common/sys/error.h"
#include "common/sys/fdpass.h"
#include "common/sys/log.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>

namespace tambo::mailboxd {

namespace {

constexpr int64_t kIdleMs = 30'000;
constexpr size_t kCrashesMax = 3;
constexpr int64_t kCrashWindowMs = 600'000;
constexpr int64_t kPauseMs = 600'000;
constexpr int64_t kFilingTimeoutMs = 100'000;

bool account_dir_exists(const Id& account) {
    struct stat st {};
    return ::stat(account.text().c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

} // namespace

struct Keeper::Entry {
    Keeper& keeper;
    Id account;
    std::string address;
    Spawn order; // the last one, without its channel
    ipc::Channel channel;
    uint32_t sessions = 0;
    int64_t last_use_ms = 0, paused_until_ms = 0;
    std::deque<int64_t> crashes_ms;
    bool ending = false; // we closed the channel ourselves

    Entry(Keeper& k, const Id& id) : keeper(k), account(id), channel(k.nursery_, "account") {
        channel.on<ipc::AccountLoad>(*this, &Entry::take_load);
        channel.on<ipc::AccountFull>(*this, &Entry::take_full);
        channel.on_lost = [this] { keeper.lost(*this); };
    }
    void take_load(ipc::AccountLoad load) {
        sessions = load.sessions;
        touch();
    }
    void take_full(ipc::AccountFull message) {
        message.account = account; // whatever the process says
        keeper.authd_.send(message);
    }
    void touch() { last_use_ms = Loop::monotonic_ms(); }
    void end() {
        ending = true;
        channel.drop("ended");
        ending = false;
        sessions = 0;
    }
};

Keeper::Keeper(Nursery& nursery, Zygote& zygote, conf::MailboxdConfig config, uint32_t epoch)
    : nursery_(nursery), zygote_(zygote), config_(std::move(config)), epoch_(epoch),
      authd_(nursery, "authd"), deliverd_(nursery, "deliverd") {
    authd_.on<ipc::AttachSession>(*this, &Keeper::attach);
    authd_.on<ipc::KickAccount>(*this, &Keeper::kick);
    deliverd_.on<ipc::FileMessage>(*this, &Keeper::file);
    deliverd_.on<ipc::PrepareAccount>(*this, &Keeper::prepare);
}

Keeper::~Keeper() = default;

// ---- processes

bool Keeper::start(Entry& entry, Spawn order) {
    auto [mine, theirs] = socket_pair(SOCK_SEQPACKET);
    order.account = entry.account;
    order.epoch = epoch_;
    order.message_bytes_max = static_cast<uint64_t>(config_.message_size_max);
    order.disk_reserve_bytes = static_cast<uint64_t>(config_.disk_reserve);
    order.channel = std::move(theirs);
    if (!zygote_.spawn(order)) return false;
    order.channel.reset();
    entry.order = std::move(order);
    entry.sessions = 0;
    entry.touch();
    entry.channel.attach(std::move(mine));
    return true;
}

Keeper::Entry* Keeper::running(const Id& account, const std::string& address, const Spawn& facts) {
    auto& slot = entries_[account];
    if (!slot) slot = std::make_unique<Entry>(*this, account);
    Entry& entry = *slot;
    entry.address = address;
    entry.touch();
    if (entry.channel.connected()) return &entry;
    if (entry.paused_until_ms > Loop::monotonic_ms()) return nullptr;
    Spawn order;
    order.address = address;
    order.quota_bytes = facts.quota_bytes;
    order.quota_messages = facts.quota_messages;
    return start(entry, std::move(order)) ? &entry : nullptr;
}

// The process of the account is gone without our doing. Deliveries that wait are repeated to its
// successor.
void Keeper::lost(Entry& entry) {
    entry.sessions = 0;
    if (entry.ending) return;
    const int64_t now = Loop::monotonic_ms();
    while (!entry.crashes_ms.empty() && entry.crashes_ms.front() < now - kCrashWindowMs) {
        entry.crashes_ms.pop_front();
    }
    entry.crashes_ms.push_back(now);
    log::Event("account.process_lost", log::Level::error)
        .with("account", entry.address)
        .with("crashes", static_cast<int64_t>(entry.crashes_ms.size()));
    if (entry.crashes_ms.size() >= kCrashesMax) {
        entry.paused_until_ms = now + kPauseMs;
        entry.crashes_ms.clear();
        log::Event("account.paused", log::Level::critical).with("account", entry.address);
        return;
    }
    if (entry.channel.idle()) return;
    Spawn again;
    again.address = entry.order.address;
    again.quota_bytes = entry.order.quota_bytes;
    again.quota_messages = entry.order.quota_messages;
    nursery_.loop().post(
        [this, id = entry.account, order = std::make_shared<Spawn>(std::move(again))] {
            const auto found = entries_.find(id);
            if (found == entries_.end() || found->second->channel.connected()) return;
            start(*found->second, std::move(*order));
        });
}

void Keeper::reap_idle() {
    const int64_t now = Loop::monotonic_ms();
    std::erase_if(entries_, [now](auto& item) {
        Entry& entry = *item.second;
        const bool idle = entry.sessions == 0 && entry.channel.idle();
        if (!idle || entry.last_use_ms > now - kIdleMs) return false;
        if (entry.channel.connected()) entry.end();
        // A crash record outlives the process.
        return entry.crashes_ms.empty() && entry.paused_until_ms <= now;
    });
}

// ---- questions

task<Spawn> Keeper::facts_of(Id account) {
    ipc::AskAccount question;
    question.account = account;
    auto facts = co_await authd_.call(std::move(question));
    Spawn spawn;
    spawn.address = facts.known ? facts.address : account.text();
    spawn.quota_bytes = facts.quota_bytes;
    spawn.quota_messages = facts.quota_messages;
    co_return spawn;
}

task<ipc::ReplyText> Keeper::prepare(ipc::PrepareAccount message) {
    try {
        store::make_account_dir(message.account.text());
    } catch (const std::system_error& error) {
        log::Event("account.directory_failed", log::Level::error).with("error", error.what());
        co_return ipc::ReplyText{451, "4.3.0", "cannot make the account's directory"};
    }
    co_return ipc::ReplyText{};
}

task<ipc::AttachAnswer> Keeper::attach(ipc::AttachSession message) {
    Spawn facts;
    facts.quota_bytes = message.quota_bytes;
    facts.quota_messages = message.quota_messages;
    try {
        if (!account_dir_exists(message.account)) store::make_account_dir(message.account.text());
    } catch (const std::system_error& error) {
        log::Event("account.directory_failed", log::Level::error).with("error", error.what());
        co_return ipc::AttachAnswer{false, "directory"};
    }
    Entry* entry = running(message.account, message.address, facts);
    if (entry == nullptr) co_return ipc::AttachAnswer{false, "paused"};
    try {
        auto answer = co_await entry->channel.call(std::move(message));
        co_return answer;
    } catch (const ipc::PeerLost&) {
        co_return ipc::AttachAnswer{false, "crashed"};
    }
}

task<ipc::Delivered> Keeper::file(ipc::FileMessage message) {
    ipc::Delivered answer;
    answer.status = {451, "4.3.0", "the mail store does not answer"};
    try {
        const Id account = message.facts.account;
        const auto known = entries_.find(account);
        Spawn facts;
        if (known == entries_.end() || !known->second->channel.connected()) {
            facts = co_await facts_of(account);
        }
        const std::string address = facts.address;
        Entry* entry = running(account, address.empty() ? account.text() : address, facts);
        if (entry == nullptr) {
            answer.status = {451, "4.2.0", "the account is paused after repeated failures"};
            co_return answer;
        }
        answer = co_await entry->channel.call(std::move(message), kFilingTimeoutMs);
        entry->touch();
    } catch (const ipc::PeerLost&) {
    }
    co_return answer;
}

void Keeper::kick(ipc::KickAccount message) {
    const auto found = entries_.find(message.account);
    if (found == entries_.end()) return;
    log::Event("account.kicked").with("account", found->second->address);
    if (found->second->channel.connected()) found->second->end();
}

} // namespace tambo::mailboxd

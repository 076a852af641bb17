#include "mailboxd/keeper.h"

#include "common/base/text.h"
#include "common/store/layout.h"
#include "common/sys/error.h"
#include "common/sys/log.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <system_error>
#include <vector>

namespace tambo::mailboxd {

namespace {

constexpr int64_t kFilingTimeoutMs = 100'000;

ipc::Delivered
answer(ipc::DeliveryOutcome outcome, uint16_t code, const char* enhanced, const char* text) {
    ipc::Delivered out;
    out.outcome = outcome;
    out.status = {code, enhanced, text};
    return out;
}

ipc::Delivered deferred(const char* enhanced, const char* text) {
    return answer(ipc::DeliveryOutcome::deferred, 451, enhanced, text);
}

bool directory_exists(const Id& account) {
    struct stat status {};
    return ::stat(account.text().c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// False if it cannot be made.
bool make_directory(const Id& account) {
    try {
        store::make_account_dir(account.text());
        return true;
    } catch (const std::system_error& error) {
        log::Event("account.directory_failed", log::Level::error).with("error", error.what());
        return false;
    }
}

} // namespace

Keeper::Keeper(Nursery& nursery,
               Zygote& zygote,
               Clock& clock,
               const conf::MailboxdConfig& config,
               uint32_t epoch,
               Timing timing)
    : nursery_(nursery), clock_(clock), table_(nursery, zygote, epoch, timing),
      authd_(nursery, "authd"), deliverd_(nursery, "deliverd") {
    table_.configure(config);
    table_.on_room = [this](const ipc::AccountRoom& message) { authd_.send(message); };
    table_.on_fault = [this](const std::string& what, bool storage) {
        if (storage && on_storage_fault) on_storage_fault(what);
    };
    authd_.on<ipc::AttachSession>(*this, &Keeper::attach);
    authd_.on<ipc::KickAccount>(*this, &Keeper::kick);
    authd_.on<ipc::AccountChanged>(*this, &Keeper::changed);
    deliverd_.on<ipc::FileMessage>(*this, &Keeper::file);
    deliverd_.on<ipc::PrepareAccount>(*this, &Keeper::prepare);
}

task<std::optional<AccountFacts>> Keeper::ask(Id account) {
    ipc::AskAccount question;
    question.account = account;
    AccountFacts known;
    known.number = ++facts_number_; // of now: what changes meanwhile is asked for again
    auto facts = co_await authd_.call(std::move(question));
    if (!facts.known) co_return std::nullopt;
    known.address = std::move(facts.address);
    known.quota_bytes = facts.quota_bytes;
    known.quota_messages = facts.quota_messages;
    co_return known;
}

task<ipc::AttachAnswer> Keeper::attach(ipc::AttachSession message) {
    if (!directory_exists(message.account) && !make_directory(message.account)) {
        co_return ipc::AttachAnswer{false, "directory"};
    }
    AccountFacts facts;
    facts.number = ++facts_number_;
    facts.address = message.address;
    facts.quota_bytes = message.quota_bytes;
    facts.quota_messages = message.quota_messages;
    Attaching mine{message.account};
    attaching_.push_back(&mine);
    struct Leave {
        std::vector<Attaching*>& all;
        Attaching* one;
        ~Leave() { std::erase(all, one); }
    } leave{attaching_, &mine};
    auto lease = co_await table_.acquire(message.account, std::move(facts));
    if (!lease) co_return ipc::AttachAnswer{false, lease.refusal()};
    if (mine.kicked) co_return ipc::AttachAnswer{false, "kicked"};
    ipc::Channel& channel = lease.channel();
    try {
        auto attached = co_await channel.call(std::move(message));
        co_return attached;
    } catch (const ipc::PeerLost&) {
        co_return ipc::AttachAnswer{false, "crashed"};
    }
}

task<ipc::Delivered> Keeper::file(ipc::FileMessage message) {
    if (table_.read_only()) co_return deferred("4.3.0", "the storage has failed");
    const Id account = message.facts.account;
    try {
        AccountFacts facts;
        if (!table_.is_running(account)) {
            auto known = co_await ask(account);
            if (!known) {
                co_return answer(ipc::DeliveryOutcome::refused, 550, "5.1.1", "no such mailbox");
            }
            facts = std::move(*known);
        }
        auto lease = co_await table_.acquire(account, std::move(facts));
        if (!lease) co_return deferred("4.2.0", "the account cannot be used just now");
        ipc::Channel& channel = lease.channel();
        auto filed = co_await channel.call(std::move(message), kFilingTimeoutMs);
        co_return filed;
    } catch (const ipc::PeerLost&) {
        co_return deferred("4.3.0", "the mail store does not answer");
    }
}

task<ipc::ReplyText> Keeper::prepare(ipc::PrepareAccount message) {
    ipc::ReplyText failed{451, "4.3.0", "cannot make the account's directory"};
    try {
        auto known = co_await ask(message.account);
        if (!known) co_return ipc::ReplyText{550, "5.1.1", "no such mailbox"};
    } catch (const ipc::PeerLost&) {
        co_return failed;
    }
    if (make_directory(message.account)) co_return ipc::ReplyText{};
    co_return failed;
}

// A session that waits for a process has no process that could be ended (RULES.md A3).
void Keeper::kick(ipc::KickAccount message) {
    for (Attaching* one : attaching_)
        one->kicked |= one->account == message.account;
    table_.kick(message.account);
    if (!message.forget) return;
    table_.when_gone(message.account, [this, account = message.account] { bury(account); });
}

void Keeper::changed(ipc::AccountChanged message) {
    auto accounts = message.account.is_nil() ? table_.accounts() : std::vector<Id>{message.account};
    nursery_.spawn(ask_again(std::move(accounts)));
}

task<> Keeper::ask_again(std::vector<Id> accounts) {
    for (const Id& account : accounts) {
        try {
            auto known = co_await ask(account);
            if (known) table_.take_facts(account, *known);
        } catch (const ipc::PeerLost&) {
            co_return; // an authd that starts anew says that all may have changed
        }
    }
}

// A deleted account's mail stays a while under another name.
void Keeper::bury(const Id& account) {
    const std::string to = Spawn::deleted_directory(account);
    try {
        if (store::rename_account_dir(account.text(), to)) {
            log::Event("account.buried", log::Level::notice).with("directory", to);
        }
    } catch (const std::system_error& error) { // authd will ask the next keeper
        log::Event("account.directory_failed", log::Level::error).with("error", error.what());
        if (is_storage_error(error.code().value()) && on_storage_fault) {
            on_storage_fault(error.what());
        }
        return;
    }
    ipc::AccountBuried buried;
    buried.account = account;
    authd_.send(buried);
}

void Keeper::tick() {
    table_.tick();
    const int64_t now = clock_.monotonic_ms();
    if (now < next_erase_ms_) return;
    next_erase_ms_ = now + 6 * 3'600'000;
    erase_old();
}

void Keeper::drain(std::function<void()> done) {
    table_.on_empty = std::move(done);
    table_.drain();
}

} // namespace tambo::mailboxd

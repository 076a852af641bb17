#include "mailboxd/account_service.h"

#include "common/base/text.h"
#include "common/store/fsck.h"
#include "common/store/layout.h"
#include "common/sys/log.h"
#include "imapd/session/session.h"
#include "mailboxd/fsck_service.h"
#include "pop3d/session/session.h"

#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace tambo::mailboxd {

namespace {

constexpr uint64_t kTraceBytes = 1024; // of fields that a message gets on its way to a mailbox
constexpr int64_t kTendMs = 1'000;
constexpr int64_t kQuietMs = 2'000;         // without a change: upkeep may begin
constexpr int64_t kUpkeepEveryMs = 600'000; // bodies come due without a change
constexpr int64_t kSnapshotEveryMs = 86'400'000;
constexpr int kUpkeepStepsAtEnd = 64;

ipc::Delivered refuse(store::Refusal refusal) {
    ipc::Delivered answer;
    answer.outcome = ipc::DeliveryOutcome::deferred;
    switch (refusal) {
    case store::Refusal::over_quota:
        answer.status = {452, "4.2.2", "mailbox full"};
        break;
    case store::Refusal::disk_full:
        answer.status = {452, "4.3.1", "the disk is full"};
        break;
    case store::Refusal::too_big:
        answer.outcome = ipc::DeliveryOutcome::refused;
        answer.status = {552, "5.2.3", "the message is too big for a mailbox"};
        break;
    default:
        answer.status = {451, "4.3.0", std::string(store::text_of(refusal))};
        break;
    }
    return answer;
}

} // namespace

AccountService::AccountService(Loop& loop, Clock& clock, Spawn order, UniqueFd pidfd)
    : loop_(loop), clock_(clock), order_(std::move(order)), pidfd_(std::move(pidfd)),
      nursery_(loop), keeper_(nursery_, "keeper"), filed_(nursery_) {
    keeper_.on<ipc::AttachSession>(*this, &AccountService::attach);
    keeper_.on<ipc::FileMessage>(*this, &AccountService::file);
    keeper_.on<ipc::SetQuota>(*this, &AccountService::set_quota);
    keeper_.on<ipc::Fsck>(*this, &AccountService::fsck);
    keeper_.on<ipc::AskUsage>(*this, &AccountService::usage);
    keeper_.on_lost = [this] { end(); };
}

AccountService::~AccountService() = default;

int AccountService::run() {
    keeper_.attach(std::move(order_.channel));
    ipc::AccountStarted started;
    started.process = std::move(pidfd_);
    keeper_.send(started);
    started.process.reset();
    loop_.every(kTendMs, [this] { tend(); });
    // What leaves the loop leaves coroutines behind, which wait in what this object holds: it must
    // not go before them.
    try {
        loop_.run();
    } catch (const std::exception& error) {
        log::Event("account.failed", log::Level::error)
            .with("account", order_.address)
            .with("reason", error.what());
        ::_exit(1);
    }
    nursery_.finish();
    keeper_.drop("ended");
    const bool failed = refusal_.has_value() || (account_ && account_->failure());
    if (account_ && !failed) finish();
    if (account_) {
        account_->ignore(*this);
        account_->close();
    }
    return failed ? 1 : 0;
}

void AccountService::end() {
    if (std::exchange(ending_, true)) return;
    loop_.post([this] { loop_.stop(); });
}

store::Account* AccountService::account() {
    if (account_ || refusal_) return account_.get();
    auto opened = store::Account::open(".", store_options(order_, clock_));
    if (!opened.ok()) {
        refusal_ = opened.error();
        log::Event("account.open_failed", log::Level::error)
            .with("account", order_.address)
            .with("reason", store::text_of(*refusal_));
        check_failure();
        return nullptr;
    }
    account_ = std::move(*opened);
    account_->observe(*this);
    report_room();
    return account_.get();
}

// After a failure the process ends, once what waits has been answered: nothing that it says later
// could be trusted (RULES.md R2).
void AccountService::check_failure() {
    const auto failure = account_ ? account_->failure() : refusal_;
    if (!failure || ending_) return;
    ipc::AccountFault fault;
    fault.what = cat("store of ", order_.address, ": ", store::text_of(*failure));
    fault.storage = *failure == store::Refusal::io_error;
    log::Event("account.store_failed", log::Level::critical)
        .with("account", order_.address)
        .with("reason", store::text_of(*failure));
    keeper_.send(fault);
    end();
}

// ---- sessions

task<ipc::AttachAnswer> AccountService::attach(ipc::AttachSession message) {
    if (!account()) co_return ipc::AttachAnswer{false, std::string(store::text_of(*refusal_))};
    nursery_.spawn(run_session(std::move(message)));
    co_return ipc::AttachAnswer{true, ""};
}

task<> AccountService::run_session(ipc::AttachSession message) {
    struct Counted {
        AccountService& service;
        explicit Counted(AccountService& s) : service(s) {
            service.sessions_++;
            service.report_load();
        }
        ~Counted() {
            service.sessions_--;
            service.report_load();
            service.check_failure();
        }
    } counted(*this);
    if (message.service == ipc::Service::pop3) {
        pop3::SessionSettings settings;
        settings.sid = message.sid;
        settings.client_ip = message.client_ip;
        settings.address = message.address;
        co_await pop3::serve_pop3(nursery_, std::move(message.client), *account_, settings);
    } else {
        imap::SessionSettings settings;
        settings.sid = message.sid;
        settings.client_ip = message.client_ip;
        settings.address = message.address;
        settings.login_tag = message.session_hint;
        settings.message_bytes_max = order_.message_bytes_max;
        co_await imap::serve_imap(nursery_, std::move(message.client), *account_, settings);
    }
}

void AccountService::report_load() {
    stirred_ = true;
    quiet_since_ms_ = clock_.monotonic_ms();
    ipc::AccountLoad load;
    load.sessions = sessions_;
    keeper_.send(load);
}

void AccountService::report_room() {
    if (!account_) return;
    const auto& quota = account_->quota();
    const auto usage = account_->usage();
    uint64_t room =
        quota.bytes == 0 ? UINT64_MAX : quota.bytes - std::min(quota.bytes, usage.bytes);
    if (quota.messages > 0 && usage.messages >= quota.messages) room = 0;
    if (refused_bytes_ <= room) refused_bytes_ = 0;
    uint64_t from_bytes = room == 0 ? 1 : 0;
    if (refused_bytes_ > 0) from_bytes = room - std::min(room, kTraceBytes) + 1;
    if (from_bytes == refused_from_bytes_) return;
    refused_from_bytes_ = from_bytes;
    ipc::AccountRoom message;
    message.account = order_.account;
    message.refused_from_bytes = from_bytes;
    keeper_.send(message);
}

void AccountService::set_quota(ipc::SetQuota message) {
    order_.quota_bytes = message.bytes;
    order_.quota_messages = message.messages;
    if (!account_) return;
    account_->set_quota({message.bytes, message.messages});
    refused_from_bytes_.reset(); // authd waits for it
    report_room();
}

task<ipc::AccountUsage> AccountService::usage(ipc::AskUsage) {
    ipc::AccountUsage answer;
    if (account()) {
        answer = usage_of(*account_);
    } else {
        answer.problem = store::text_of(*refusal_);
    }
    co_return answer;
}

// ---- deliveries

// The detail of an address is folded (RULES.md K1): case does not tell mailboxes apart here,
// unless there is one of just this name.
std::string AccountService::mailbox_for(const std::string& detail) {
    if (detail.empty() || !account_) return "INBOX";
    const auto info = account_->info(detail);
    if (info && !info->noselect) return info->name;
    for (const auto& mailbox : account_->list()) {
        if (!mailbox.noselect && iequals(mailbox.name, detail)) return mailbox.name;
    }
    return "INBOX";
}

task<ipc::Delivered> AccountService::file(ipc::FileMessage message) {
    if (!account()) co_return refuse(*refusal_);
    ipc::DeliveryFacts& facts = message.facts;
    account_->forget_deliveries(facts.queued_since);
    Filing filing;
    filing.delivery.key = {facts.qid, facts.rcpt_no, facts.action_no};
    filing.delivery.prefix = std::move(facts.prefix);
    filing.delivery.mailbox = mailbox_for(facts.detail);
    filing.bytes = facts.body_bytes + filing.delivery.prefix.size();
    // All that arrived in this turn of the loop share one transaction.
    if (waiting_.empty()) loop_.post([this] { file_all(); });
    waiting_.push_back(&filing);
    struct Leave {
        std::vector<Filing*>& waiting;
        Filing* filing;
        ~Leave() { std::erase(waiting, filing); }
    } leave{waiting_, &filing};
    while (!filing.done) {
        co_await filed_.wait();
    }
    if (filing.answer.status.enhanced == "4.2.2") {
        const uint64_t least = refused_bytes_ == 0 ? filing.bytes : refused_bytes_;
        refused_bytes_ = std::min(least, filing.bytes);
        refused_from_bytes_.reset(); // who let it come may have forgotten
        report_room();
    }
    co_return std::move(filing.answer);
}

void AccountService::answer(Filing& filing, const store::Outcome<store::Delivered>& outcome) {
    filing.done = true;
    if (!outcome.ok()) {
        const uint64_t quota = account_->quota().bytes;
        const bool never_fits = quota > 0 && filing.bytes > quota;
        const bool is_full = outcome.error() == store::Refusal::over_quota;
        filing.answer = refuse(is_full && never_fits ? store::Refusal::too_big : outcome.error());
        return;
    }
    filing.answer.outcome =
        outcome->already ? ipc::DeliveryOutcome::duplicate : ipc::DeliveryOutcome::stored;
    filing.answer.mailbox = filing.delivery.mailbox;
    filing.answer.uid = outcome->uid;
}

void AccountService::file_all() {
    std::vector<Filing*> filings;
    filings.swap(waiting_);
    if (filings.empty() || !account_) return;
    std::vector<store::Delivery> deliveries;
    deliveries.reserve(filings.size());
    for (const Filing* filing : filings)
        deliveries.push_back(filing->delivery);
    const auto outcomes = account_->deliver(deliveries);
    for (size_t i = 0; i < filings.size(); ++i)
        answer(*filings[i], outcomes[i]);
    filed_.pulse();
    report_room();
    check_failure();
}

// ---- upkeep

task<ipc::FsckReport> AccountService::fsck(ipc::Fsck question) {
    ipc::FsckReport report;
    if (!account()) {
        report.damaged = *refusal_ == store::Refusal::corrupt;
        report.findings.push_back(cat("cannot open: ", store::text_of(*refusal_)));
        co_return report;
    }
    store::FsckOptions options;
    options.repair = question.repair;
    report = answer_of(store::fsck(*account_, options));
    check_failure();
    co_return report;
}

// Upkeep waits for a quiet moment, so that nobody waits for it.
void AccountService::tend() {
    if (!account_) return;
    report_room();
    check_failure();
    const int64_t now = clock_.monotonic_ms();
    if (std::exchange(touched_, false)) {
        quiet_since_ms_ = now;
        upkeep_ = true;
        return;
    }
    if (now - upkeep_done_ms_ >= kUpkeepEveryMs) upkeep_ = true;
    if (now - quiet_since_ms_ < kQuietMs) return;
    if (!upkeep_ || account_->read_only()) {
        if (stirred_) release_memory();
        return;
    }
    const auto more = account_->tidy();
    touched_ = false; // what upkeep itself changed does not count
    upkeep_ = more.ok() && *more;
    if (upkeep_) return;
    release_memory();
    upkeep_done_ms_ = now;
    if (snapshot_is_due()) static_cast<void>(account_->snapshot());
    check_failure();
}

// There may be thousands of processes of quiet accounts: they keep no memory for later.
void AccountService::release_memory() {
    stirred_ = false;
    account_->release_memory();
    ::malloc_trim(0);
}

bool AccountService::snapshot_is_due() const {
    if (account_->read_only() || account_->usage().messages == 0) return false;
    struct stat status {};
    if (::stat(std::string(store::kSnapshotFile).c_str(), &status) != 0) return true;
    const int64_t age_ms = clock_.now().ms - int64_t{status.st_mtim.tv_sec} * 1000;
    return age_ms >= kSnapshotEveryMs || age_ms < 0;
}

void AccountService::finish() {
    if (account_->read_only()) return;
    for (int step = 0; step < kUpkeepStepsAtEnd && (touched_ || upkeep_); ++step) {
        touched_ = false;
        const auto more = account_->tidy();
        upkeep_ = more.ok() && *more;
    }
    if (snapshot_is_due()) static_cast<void>(account_->snapshot());
}

} // namespace tambo::mailboxd

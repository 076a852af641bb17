#include "mailboxd/account_service.h"

#include "common/base/text.h"
#include "common/sys/log.h"
#include "imapd/session/session.h"
#include "pop3d/session/session.h"

namespace tambo::mailboxd {

namespace {

ipc::Delivered answer_for(store::Refusal refusal) {
    ipc::Delivered answer;
    answer.outcome = ipc::DeliveryOutcome::deferred;
    const std::string text(store::text_of(refusal));
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
        answer.status = {451, "4.3.0", text};
        break;
    }
    return answer;
}

} // namespace

AccountService::AccountService(Nursery& nursery, store::Account& account, const Spawn& order)
    : nursery_(nursery), account_(account), id_(order.account), address_(order.address),
      message_bytes_max_(order.message_bytes_max), keeper_(nursery, "keeper"), filed_(nursery) {
    keeper_.on<ipc::AttachSession>(*this, &AccountService::attach_session);
    keeper_.on<ipc::FileMessage>(*this, &AccountService::file);
    keeper_.on_lost = [this] {
        if (on_end) on_end();
    };
    keeper_.on_attached = [this] { report_quota(); };
}

void AccountService::tidy() {
    if (waiting_.empty()) static_cast<void>(account_.tidy());
    check_failure();
    report_quota();
}

void AccountService::check_failure() {
    if (!account_.failure()) return;
    log::Event("account.store_failed", log::Level::critical)
        .with("account", address_)
        .with("reason", store::text_of(*account_.failure()));
    if (on_end) on_end();
}

// ---- sessions

task<ipc::AttachAnswer> AccountService::attach_session(ipc::AttachSession message) {
    account_.set_quota({message.quota_bytes, message.quota_messages});
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
            service.report_quota();
        }
    } counted(*this);
    if (message.service == ipc::Service::pop3) {
        pop3::SessionSettings settings;
        settings.sid = message.sid;
        settings.client_ip = message.client_ip;
        settings.address = message.address;
        co_await pop3::serve_pop3(nursery_, std::move(message.client), account_, settings);
    } else {
        imap::SessionSettings settings;
        settings.sid = message.sid;
        settings.client_ip = message.client_ip;
        settings.address = message.address;
        settings.login_tag = message.session_hint;
        settings.message_bytes_max = message_bytes_max_;
        co_await imap::serve_imap(nursery_, std::move(message.client), account_, settings);
    }
    check_failure();
}

void AccountService::report_load() {
    ipc::AccountLoad load;
    load.sessions = sessions_;
    keeper_.send(load);
}

void AccountService::report_quota() {
    const auto& quota = account_.quota();
    const auto usage = account_.usage();
    const bool full = (quota.bytes > 0 && usage.bytes >= quota.bytes) ||
                      (quota.messages > 0 && usage.messages >= quota.messages);
    if (full == full_) return;
    full_ = full;
    ipc::AccountFull message;
    message.account = id_;
    message.full = full;
    keeper_.send(message);
}

// ---- deliveries

std::string AccountService::mailbox_for(const std::string& detail) const {
    if (detail.empty()) return "INBOX";
    const auto info = account_.info(detail);
    return info && !info->noselect ? info->name : "INBOX";
}

task<ipc::Delivered> AccountService::file(ipc::FileMessage message) {
    ipc::DeliveryFacts& facts = message.facts;
    Filing filing;
    filing.delivery.key = {facts.qid, facts.rcpt_no, facts.action_no};
    filing.delivery.prefix = std::move(facts.prefix);
    filing.delivery.mailbox = mailbox_for(facts.detail);
    waiting_.push_back(&filing);
    // All that arrived in this turn share one transaction.
    if (waiting_.size() == 1) nursery_.loop().post([this] { file_all(); });
    co_await filed_.wait();
    co_return std::move(filing.answer);
}

void AccountService::file_all() {
    std::vector<Filing*> filings;
    filings.swap(waiting_);
    std::vector<store::Delivery> deliveries;
    deliveries.reserve(filings.size());
    for (const Filing* filing : filings)
        deliveries.push_back(filing->delivery);
    const auto outcomes = account_.deliver(deliveries);
    for (size_t i = 0; i < filings.size(); ++i) {
        ipc::Delivered& answer = filings[i]->answer;
        if (!outcomes[i]) {
            answer = answer_for(outcomes[i].error());
            if (outcomes[i].error() == store::Refusal::over_quota && !full_) {
                full_ = true;
                ipc::AccountFull message;
                message.account = id_;
                message.full = true;
                keeper_.send(message);
            }
            continue;
        }
        answer.outcome =
            outcomes[i]->already ? ipc::DeliveryOutcome::duplicate : ipc::DeliveryOutcome::stored;
        answer.mailbox = filings[i]->delivery.mailbox;
        answer.uid = outcomes[i]->uid;
    }
    filed_.pulse();
    check_failure();
}

} // namespace tambo::mailboxd

#include "deliverd/service.h"

#include "common/spool/directory.h"
#include "common/sys/log.h"

namespace tambo::deliverd {

namespace {

constexpr int64_t kPrepareTimeoutMs = 30'000;
constexpr int64_t kFileTimeoutMs = 240'000; // shorter than queued's patience

ipc::Delivered deferred(std::string enhanced, std::string text) {
    ipc::Delivered answer;
    answer.status = {451, std::move(enhanced), std::move(text)};
    return answer;
}

} // namespace

Service::Service(Nursery& nursery, Linker linker)
    : linker_(std::move(linker)), queued_(nursery, "queued"), keeper_(nursery, "keeper") {
    queued_.on<ipc::Deliver>(*this, &Service::deliver);
}

task<ipc::Delivered> Service::deliver(ipc::Deliver request) {
    const ipc::DeliveryFacts& facts = request.facts;
    if (faulty_) co_return deferred("4.3.0", "the storage has failed");
    if (request.spool_name != spool::body_path(facts.qid)) {
        co_return deferred("4.3.0", "queued and deliverd disagree about the spool");
    }
    const auto name =
        store::BodyName::of(store::DeliveryKey{facts.qid, facts.rcpt_no, facts.action_no});
    LinkResult linked = linker_.link(facts, name);
    if (linked.what == Linked::no_account) {
        auto prepared = co_await prepare(facts.account);
        if (prepared.code != 0) {
            ipc::Delivered answer;
            answer.status = std::move(prepared);
            if (answer.status.code >= 500) answer.outcome = ipc::DeliveryOutcome::refused;
            co_return answer;
        }
        linked = linker_.link(facts, name);
    }
    if (linked.what != Linked::made && linked.what != Linked::present) {
        co_return not_linked(facts, linked);
    }
    if (linked.copied) log::Event("delivery.copied").qid(facts.qid).rcpt(facts.recipient);
    auto answer = co_await file(facts);
    // Refused: no row refers to it. Known already: a row does, and its body may have been missing.
    if (answer.outcome == ipc::DeliveryOutcome::refused && linked.what == Linked::made) {
        linker_.unlink(facts, name);
    }
    co_return answer;
}

task<ipc::ReplyText> Service::prepare(Id account) {
    ipc::PrepareAccount question;
    question.account = account;
    ipc::ReplyText answer;
    try {
        answer = co_await keeper_.call(std::move(question), kPrepareTimeoutMs);
    } catch (const ipc::PeerLost&) {
        answer = {451, "4.3.0", "the mailboxes are not available at the moment"};
    }
    co_return answer;
}

task<ipc::Delivered> Service::file(ipc::DeliveryFacts facts) {
    ipc::FileMessage message;
    message.body = facts.qid; // with rcpt_no and action_no of facts: store::BodyName
    message.facts = std::move(facts);
    ipc::Delivered answer;
    try {
        answer = co_await keeper_.call(std::move(message), kFileTimeoutMs);
    } catch (const ipc::PeerLost&) {
        answer = deferred("4.3.0", "the mailboxes are not available at the moment");
    }
    co_return answer;
}

ipc::Delivered Service::not_linked(const ipc::DeliveryFacts& facts, const LinkResult& result) {
    const bool alarm = result.what == Linked::collision || result.sync_failed;
    log::Event("delivery.not_linked", alarm ? log::Level::critical : log::Level::error)
        .qid(facts.qid)
        .rcpt(facts.recipient)
        .with("account", facts.account.text())
        .with("what", static_cast<int64_t>(result.what))
        .with("reason", result.why);
    if (result.sync_failed) {
        faulty_ = true;
        if (on_fault) on_fault(result.why);
    }
    switch (result.what) {
    case Linked::full:
        return deferred("4.3.1", "insufficient storage");
    case Linked::no_body:
        return deferred("4.3.0", "the spool file is not there");
    case Linked::no_account:
        return deferred("4.3.0", "the account's directory is not there");
    case Linked::collision:
        return deferred("4.3.0", "another body of that name is there");
    case Linked::made:
    case Linked::present:
    case Linked::failed:
        break;
    }
    return deferred("4.3.0", "the body cannot be stored");
}

} // namespace tambo::deliverd

#include "deliverd/deliverer.h"

#include "common/base/text.h"
#include "common/sys/error.h"
#include "common/sys/log.h"

namespace tambo::deliverd {

namespace {

constexpr int64_t kFilingTimeoutMs = 120'000;

ipc::Delivered deferred(const char* enhanced, std::string text) {
    ipc::Delivered answer;
    answer.outcome = ipc::DeliveryOutcome::deferred;
    answer.status = {451, enhanced, std::move(text)};
    return answer;
}

ipc::Delivered answer_for(const LinkResult& result) {
    switch (result.outcome) {
    case LinkOutcome::no_space:
        return deferred("4.3.1", "the disk is full");
    case LinkOutcome::no_account:
        return deferred("4.3.0", "the account's directory is missing");
    case LinkOutcome::no_body:
        return deferred("4.3.0", "the message is not in the spool");
    case LinkOutcome::foreign:
        return deferred("4.3.0", "another file has the name of the message");
    default:
        return deferred("4.3.0", "cannot link the message: " + error_text(result.error));
    }
}

} // namespace

Deliverer::Deliverer(const Linker& linker, ipc::Channel& queued, ipc::Channel& keeper)
    : linker_(linker), keeper_(keeper) {
    queued.on<ipc::Deliver>(*this, &Deliverer::deliver);
}

task<LinkResult> Deliverer::link(const ipc::Deliver& job) {
    LinkResult result = linker_.link(job);
    if (result.outcome != LinkOutcome::no_account) co_return result;
    ipc::PrepareAccount prepare;
    prepare.account = job.facts.account;
    auto prepared = co_await keeper_.call(std::move(prepare), kFilingTimeoutMs);
    if (prepared.code == 0) result = linker_.link(job);
    co_return result;
}

task<ipc::Delivered> Deliverer::deliver(ipc::Deliver job) {
    ipc::Delivered answer;
    try {
        const LinkResult result = co_await link(job);
        if (result.outcome != LinkOutcome::linked) {
            log::Event("delivery.link_failed", log::Level::error)
                .qid(job.facts.qid)
                .rcpt(job.facts.recipient)
                .with("path", Linker::target_path(job.facts))
                .with("error", error_text(result.error));
            co_return answer_for(result);
        }
        if (result.copied) log::Event("delivery.copied").qid(job.facts.qid);
        ipc::FileMessage file;
        file.facts = std::move(job.facts);
        file.body = file.facts.qid;
        answer = co_await keeper_.call(std::move(file), kFilingTimeoutMs);
    } catch (const ipc::PeerLost&) {
        answer = deferred("4.3.0", "the mail store does not answer");
    }
    co_return answer;
}

} // namespace tambo::deliverd

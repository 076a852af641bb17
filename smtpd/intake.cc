#include "smtpd/intake.h"

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/smtp/reply_texts.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "smtpd/policy.h"

#include <cerrno>
#include <system_error>

namespace tambo::smtpd {

namespace replies = smtp::replies;

namespace {
constexpr size_t kRecipientsPerMessage = 50; // EnvelopeRecipients
}

SpoolFile::~SpoolFile() {
    if (discard_) service_.queued.send(ipc::Discard{qid_});
}

task<> SpoolFile::open(uint64_t size_hint) {
    ipc::OpenSpool request;
    request.size_hint = size_hint;
    auto opened = co_await service_.queued.call(std::move(request));
    throw_refusal(opened.refusal);
    if (!opened.body.valid()) throw smtp::Reject(replies::local_error);
    qid_ = opened.qid;
    body_ = std::move(opened.body);
    discard_ = true;
}

void SpoolFile::write(std::string_view bytes) {
    if (failure_ || bytes.empty()) return;
    try {
        write_all(body_.get(), bytes, "spool file");
    } catch (const std::system_error& e) {
        const int error = e.code().value();
        const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
        failure_ = full ? replies::disk_full : replies::local_error;
        log::Event("smtp.spool_failed", log::Level::error).qid(qid_).with("error", e.what());
        return;
    }
    length_ += bytes.size();
    crc_ = crc32c(crc_, bytes);
}

bool SpoolFile::send_envelope(const ipc::EnvelopeStart& envelope, const Recipients& recipients) {
    if (!service_.queued.send(envelope)) return false;
    for (size_t position = 0;;) {
        ipc::EnvelopeRecipients some;
        some.qid = qid_;
        some.recipients = recipients.take(position, kRecipientsPerMessage);
        if (some.recipients.empty()) return true;
        if (!service_.queued.send(some)) return false;
    }
}

task<smtp::Reply> SpoolFile::commit(ipc::EnvelopeStart envelope, const Recipients& recipients) {
    check(discard_ && !failure_, "commit of a message that is not there");
    body_.reset(); // queued makes sure that no writer is left
    envelope.qid = qid_;
    if (!send_envelope(envelope, recipients)) co_return replies::local_error;
    discard_ = false;
    ipc::Commit commit;
    commit.qid = qid_;
    commit.length = length_;
    commit.crc32c = crc_;
    bool lost = false;
    try {
        auto answer = co_await service_.queued.call(std::move(commit), service_.pace.commit_ms);
        co_return smtp::Reply(answer.code, answer.enhanced, answer.text);
    } catch (const ipc::PeerLost&) {
        lost = true;
    }
    check(lost, "only a lost peer leads here");
    auto reply = co_await ask_successor();
    co_return reply;
}

task<smtp::Reply> SpoolFile::ask_successor() {
    ipc::AskCommitted question;
    question.qid = qid_;
    log::Event("smtp.commit_unknown", log::Level::warning).qid(qid_);
    auto answer = co_await service_.queued.call(std::move(question), service_.pace.commit_ms);
    if (!answer.accepted) co_return replies::local_error;
    co_return smtp::Reply(250, "2.0.0", cat("accepted as ", qid_.text()));
}

} // namespace tambo::smtpd

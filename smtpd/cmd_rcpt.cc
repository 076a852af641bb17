// RCPT, RFC 5321 4.1.1.3: an address that does not exist is refused here, never bounced later.
#include "common/ipc/messages/authd.h"
#include "common/smtp/reply_texts.h"
#include "smtpd/policy.h"
#include "smtpd/session.h"

namespace tambo::smtpd {

namespace replies = smtp::replies;
using smtp::Reject;
using smtp::Reply;

namespace {

// Of all addresses of a transaction: what a stranger may make us keep, whose whole session has to
// fit into 64 KiB (RULES.md P6), and a user.
constexpr size_t kStrangersBytesMax = 30 * 1024;
constexpr size_t kUsersBytesMax = 2048 * 1024;
constexpr int kOvershootMax = 1000; // refused with 452 before we lose patience

} // namespace

task<Reply> Session::cmd_rcpt(std::string_view arguments) {
    auto rcpt =
        smtp::parse_rcpt(arguments, announced_, transaction_.smtputf8, unqualified_domain());
    if (!rcpt) throw Reject(rcpt.error());
    refused_rcpt_ = rcpt->forward_path.text();
    Recipients& recipients = transaction_.recipients;
    if (recipients.size() >= static_cast<size_t>(service_.config.recipients_max)) {
        if (++overshoot_ > kOvershootMax) throw Farewell(replies::too_many_errors, "recipients");
        throw Reject(replies::too_many_recipients);
    }
    ipc::CheckRecipient question;
    question.service = ipc_service();
    question.token = token_;
    question.reverse_path = transaction_.reverse_path;
    question.address = refused_rcpt_;
    question.message_bytes = transaction_.size;
    auto verdict = co_await service_.authd.call(std::move(question));
    throw_refusal(verdict);
    const auto added =
        recipients.add(refused_rcpt_, service_.is_mx() ? kStrangersBytesMax : kUsersBytesMax);
    if (added == Recipients::Added::full) throw Reject(replies::too_many_recipients);
    refused_rcpt_.clear();
    co_return replies::recipient_ok;
}

} // namespace tambo::smtpd

// MAIL, RFC 5321 4.1.1.2.
#include "common/ipc/messages/authd.h"
#include "common/smtp/reply_texts.h"
#include "smtpd/policy.h"
#include "smtpd/session.h"

namespace tambo::smtpd {

namespace replies = smtp::replies;
using smtp::Reject;
using smtp::Reply;

task<Reply> Session::cmd_mail(std::string_view arguments) {
    auto mail = smtp::parse_mail(arguments, announced_, unqualified_domain());
    if (mail) refused_from_ = mail->reverse_path.text();
    if (!service_.is_mx() && !is_authenticated()) throw Reject(replies::auth_required);
    if (!mail) throw Reject(mail.error());
    const auto size_max = static_cast<uint64_t>(service_.config.message_size_max);
    if (mail->size.value_or(0) > size_max) throw Reject(replies::message_too_big);
    Transaction next;
    next.reverse_path = mail->reverse_path.text();
    next.reverse_key = mail->reverse_path.key();
    next.size = mail->size.value_or(0);
    next.body = mail->body;
    next.smtputf8 = mail->smtputf8;
    if (!service_.is_mx()) {
        std::string sender = next.reverse_path;
        co_await require_own_address(service_, token_, std::move(sender));
    }
    transaction_ = std::move(next);
    state_ = in_mail;
    co_return replies::sender_ok;
}

} // namespace tambo::smtpd

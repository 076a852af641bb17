// AUTH, RFC 4954: carries the SASL messages between the client and authd, and understands none.
#include "common/base/base64.h"
#include "common/base/text.h"
#include "common/ipc/messages/authd.h"
#include "common/ipc/sasl_guard.h"
#include "common/smtp/reply_texts.h"
#include "common/smtp/sasl.h"
#include "common/sys/log.h"
#include "smtpd/session.h"

namespace tambo::smtpd {

namespace replies = smtp::replies;
using smtp::Reject;
using smtp::Reply;

task<Reply> Session::cmd_auth(std::string_view arguments) {
    if (service_.is_mx() || is_local()) throw Reject(replies::not_implemented);
    if (is_authenticated()) throw Reject(replies::bad_sequence); // RFC 4954 4
    auto command = smtp::parse_auth(arguments);
    if (!command) throw Reject(command.error());
    if (!smtp::find_mechanism(command->mechanism)) throw Reject(replies::unknown_mechanism);
    ipc::SaslStart start;
    start.service = ipc::Service::submission;
    start.mechanism = to_upper(command->mechanism);
    start.has_initial = command->initial.has_value();
    start.initial = command->initial.value_or("");
    start.client_ip = client_ip();
    start.client_port = arrival_.peer.port();
    start.sid = sid_;
    start.tls = stream_.tls_info().version;
    start.channel_binding = stream_.channel_binding().value_or("");
    auto answer = co_await service_.authd.call(std::move(start));
    while (answer.state == ipc::SaslState::challenge) {
        ipc::SaslGuard abort_unless_answered{service_.authd, answer.exchange};
        ipc::SaslContinue next;
        next.exchange = answer.exchange;
        next.data = co_await auth_response(answer.data);
        abort_unless_answered.answered = true;
        answer = co_await service_.authd.call(std::move(next));
    }
    if (answer.state == ipc::SaslState::refused) co_return auth_refused();
    if (answer.state == ipc::SaslState::unavailable) {
        if (answer.reason != "throttled") throw Reject(replies::auth_unavailable);
        throw Farewell(replies::too_many_errors, "auth_throttled");
    }
    token_ = std::move(answer.token);
    login_ = std::move(answer.login);
    auth_failures_ = 0;
    arrived_ms_ = Loop::monotonic_ms();
    log::Event("smtp.login").sid(sid_).with("ip", client_ip()).with("login", login_);
    co_return replies::authenticated;
}

// Asks the client; throws Reject when it cancels or sends what is no base64.
task<std::string> Session::auth_response(std::string_view challenge) {
    stream_.put(cat("334 ", base64_encode(challenge), "\r\n"));
    std::string_view line;
    try {
        line = co_await next_line(limits::smtp_auth_line_bytes);
    } catch (const net::LineTooLong&) {
        throw Farewell(replies::auth_line_too_long, "line_too_long");
    }
    if (line == "*") throw Reject(replies::auth_cancelled);
    auto response = base64_decode(line);
    if (!response) throw Reject(replies::auth_bad_base64);
    co_return std::move(*response);
}

Reply Session::auth_refused() {
    if (++auth_failures_ >= limits::smtp_auth_failures) {
        throw Farewell(replies::too_many_errors, "auth_failures");
    }
    return replies::bad_credentials;
}

} // namespace tambo::smtpd

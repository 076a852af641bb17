// EHLO and HELO, RFC 5321 4.1.1.1.
#include "common/base/text.h"
#include "common/smtp/reply_texts.h"
#include "common/sys/log.h"
#include "smtpd/session.h"

namespace tambo::smtpd {

using smtp::Reject;
using smtp::Reply;

// The name is taken down, never judged: RFC 5321 4.1.4 forbids refusing mail because of it.
void Session::hello(std::string_view arguments, bool extended) {
    ++junk_;
    auto name = smtp::parse_hello(arguments);
    if (!name) throw Reject(smtp::replies::bad_hello);
    hello_ = std::move(*name);
    extended_ = extended;
    state_ = greeted;
    end_transaction(); // RFC 5321 4.1.4: EHLO is a RSET, too
    log::Event("smtp.hello", log::Level::debug)
        .sid(sid_)
        .with("verb", extended ? "EHLO" : "HELO")
        .with("name", hello_.text);
}

task<Reply> Session::cmd_ehlo(std::string_view arguments) {
    hello(arguments, true);
    announced_ = smtp::announced({.tls_possible = service_.tls.has_value() && !is_local(),
                                  .tls_active = stream_.tls(),
                                  .takes_logins = !service_.is_mx() && !is_local()});
    co_return Reply(250, "",
                    smtp::ehlo_text(service_.config.hostname, announced_,
                                    static_cast<uint64_t>(service_.config.message_size_max)));
}

task<Reply> Session::cmd_helo(std::string_view arguments) {
    hello(arguments, false);
    announced_ = {};
    co_return Reply(250, "", service_.config.hostname);
}

} // namespace tambo::smtpd

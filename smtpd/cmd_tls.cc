// STARTTLS, RFC 3207, and the handshake of the TLS port (RFC 8314).
#include "common/smtp/reply_texts.h"
#include "common/sys/log.h"
#include "smtpd/session.h"

namespace tambo::smtpd {

namespace replies = smtp::replies;
using smtp::Reject;
using smtp::Reply;

// A byte behind STARTTLS was sent in clear and would be taken as if it had come under TLS: no
// handshake then (CVE-2011-0411, RULES.md F7).
task<Reply> Session::cmd_starttls(std::string_view arguments) {
    if (!stream_.buffered().empty()) throw Farewell(replies::out_of_turn, "starttls_injection");
    if (!arguments.empty()) throw Reject(replies::bad_syntax);
    if (stream_.tls() || is_local()) throw Reject(replies::bad_sequence);
    if (!service_.tls) throw Reject(replies::tls_unavailable);
    put(replies::ready_for_tls);
    co_await stream_.flush();
    co_await handshake();
    // RFC 3207 4.2: nothing that was said before counts.
    end_transaction();
    state_ = fresh;
    hello_ = {};
    extended_ = false;
    announced_ = {};
    co_return Reply(); // answered above
}

task<> Session::handshake() {
    if (!service_.tls) throw net::TlsError("no certificate");
    const TlsContext context = *service_.tls;
    stream_.set_timeout(service_.pace.handshake_ms);
    co_await stream_.start_tls_server(context);
    arrived_ms_ = Loop::monotonic_ms();
    const TlsInfo info = stream_.tls_info();
    log::Event("smtp.tls")
        .sid(sid_)
        .with("version", info.version)
        .with("cipher", info.cipher)
        .with("group", info.group)
        .with("sni", info.sni);
}

} // namespace tambo::smtpd

// LOGIN and AUTHENTICATE (RFC 3501 6.2.2, 6.2.3, RFC 4959): SASL messages carried between the
// client and authd.
#include "common/base/base64.h"
#include "common/base/text.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "imapd/prelogin.h"

#include <sys/socket.h>

namespace tambo::imapd {

using imap::Bad;
using imap::No;
using imap::Parser;

namespace {

// Tells authd when the client leaves an exchange in the middle.
struct SaslGuard {
    ipc::Channel& authd;
    uint64_t exchange;
    bool answered = false;
    ~SaslGuard() {
        if (!answered) authd.send(ipc::SaslAbort{exchange});
    }
};

// The password was right: the user may know why it is no use.
constexpr std::string_view kTooManySessions = "too many sessions of this login from your address";

std::string decoded(std::string_view text) {
    auto bytes = base64_decode(text);
    if (!bytes) throw Bad("that is not base64");
    return std::move(*bytes);
}

} // namespace

// LOGIN is SASL PLAIN in other words (RFC 4616).
task<std::string> Prelogin::cmd_login(Parser& args) {
    args.space();
    const auto user = args.astring();
    args.space();
    const auto password = args.astring();
    args.end();
    require_tls();
    ipc::SaslStart start;
    start.mechanism = "PLAIN";
    start.has_initial = true;
    start.initial = cat('\0', user, '\0', password);
    co_await authenticate(std::move(start));
    co_return "";
}

task<std::string> Prelogin::cmd_authenticate(Parser& args) {
    args.space();
    ipc::SaslStart start;
    start.mechanism = to_upper(args.atom());
    if (args.accept(' ')) { // RFC 4959 3: "=" is an empty response
        start.has_initial = true;
        const auto text = args.take_while([](char c) { return c != ' '; });
        if (text != "=") start.initial = decoded(text);
    }
    args.end();
    require_tls();
    if (start.mechanism != "PLAIN" && start.mechanism != "LOGIN") {
        throw No("CANNOT", "no such mechanism");
    }
    co_await authenticate(std::move(start));
    co_return "";
}

// Ends with session_ set, or throws. Authd gets one end of a socket pair with the question and
// passes it on with the account when it accepts, so that no imapd can claim an account.
task<> Prelogin::authenticate(ipc::SaslStart start) {
    co_await io_.flush(); // authd may take its time
    auto [ours, theirs] = socket_pair(SOCK_STREAM);
    const std::string mechanism = start.mechanism;
    start.service = ipc::Service::imap;
    start.client_ip = connection_.peer.ip();
    start.client_port = connection_.peer.port();
    start.sid = connection_.sid;
    start.tls = io_.tls_info().version;
    start.channel_binding = io_.channel_binding().value_or("");
    start.session = std::move(theirs);
    start.session_hint = tag_;
    connection_.session_asked = true;
    ipc::SaslAnswer answer;
    try {
        answer = co_await connection_.service.authd.call(std::move(start));
        while (answer.state == ipc::SaslState::challenge) {
            SaslGuard abort_unless_answered{connection_.service.authd, answer.exchange};
            ipc::SaslContinue next;
            next.exchange = answer.exchange;
            next.data = co_await response(answer.data);
            abort_unless_answered.answered = true;
            answer = co_await connection_.service.authd.call(std::move(next));
        }
    } catch (const ipc::PeerLost& lost) {
        log::Event("imap.peer_lost", log::Level::warning)
            .sid(connection_.sid)
            .with("what", lost.what());
        throw No("UNAVAILABLE", "try again later");
    }
    judge(answer);
    connection_.login = answer.login;
    log::Event("imap.logged_in")
        .sid(connection_.sid)
        .with("ip", connection_.peer.ip())
        .with("mechanism", mechanism)
        .with("tls", io_.tls_info().version)
        .with("login", answer.login);
    set_nonblocking(ours.get());
    session_ = std::move(ours);
}

// What is refused is told in the same words, whatever the reason. RFC 5530.
void Prelogin::judge(const ipc::SaslAnswer& answer) {
    if (answer.state == ipc::SaslState::accepted) return;
    if (answer.state == ipc::SaslState::refused) {
        ++failed_logins_;
        throw No("AUTHENTICATIONFAILED", "authentication failed");
    }
    if (answer.reason == "sessions") throw No("LIMIT", std::string(kTooManySessions));
    if (answer.reason == "throttled") failed_logins_ = limits::bad_commands_prelogin;
    throw No("UNAVAILABLE", "try again later");
}

// The client's answer to a challenge, as bytes.
task<std::string> Prelogin::response(std::string challenge) {
    reader_.reset();
    reader_.set_raw(true);
    io_.put(cat("+ ", base64_encode(challenge), "\r\n"));
    const Event event = co_await next_event();
    reader_.set_raw(false);
    if (event != Event::command) throw Bad("that is too long");
    const std::string line = reader_.text();
    reader_.reset();
    if (line == "*") throw Bad("cancelled"); // RFC 3501 6.2.2
    co_return decoded(line);
}

} // namespace tambo::imapd

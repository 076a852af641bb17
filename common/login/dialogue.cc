// See dialogue.h. What is said to the client is the protocol's: nothing is written here but TLS.
#include "common/login/dialogue.h"

#include "common/base/text.h"
#include "common/ipc/sasl_guard.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "common/sys/log.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace tambo::login {

namespace {

constexpr std::array<std::string_view, 9> kHttpMethods{
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE"};

} // namespace

bool is_http_method(std::string_view word) {
    return std::any_of(kHttpMethods.begin(), kHttpMethods.end(),
                       [word](std::string_view method) { return iequals(method, word); });
}

// Without authd nobody is refused: nobody can log in either.
task<std::string> Dialogue::admit() {
    Service& service = connection_.service;
    const bool exempt = connection_.peer.is_loopback() && !service.config.limits_on_loopback;
    if (!exempt) {
        ipc::ConnectionOpened opened;
        opened.service = service.protocol.service;
        opened.client_ip = connection_.peer.ip();
        ipc::ConnectionVerdict verdict;
        try {
            verdict = co_await service.authd.call(std::move(opened));
            connection_.counted = verdict.allowed;
        } catch (const ipc::PeerLost&) {
            log::Event("login.uncounted", log::Level::warning)
                .sid(connection_.sid)
                .with("ip", connection_.peer.ip());
        }
        if (!verdict.allowed) {
            connection_.ended_why = "limit";
            co_return verdict.reason;
        }
    }
    if (connection_.door == Door::tls) co_await handshake();
    co_return "";
}

task<> Dialogue::handshake() {
    if (!connection_.service.tls) throw net::TlsError("no certificate");
    const TlsContext context = *connection_.service.tls;
    co_await io_.start_tls_server(context);
    const TlsInfo info = io_.tls_info();
    log::Event("login.tls")
        .sid(connection_.sid)
        .with("version", info.version)
        .with("cipher", info.cipher)
        .with("group", info.group)
        .with("sni", info.sni);
}

bool Dialogue::has_injected() const {
    if (io_.buffered().empty()) static_cast<void>(io_.poll_input());
    if (io_.buffered().empty()) return false;
    log::Event("login.starttls_injection", log::Level::notice)
        .sid(connection_.sid)
        .with("ip", connection_.peer.ip());
    return true;
}

// Authd gets one end of a socket pair with the question and passes it on with the account when it
// accepts, so that no process that strangers talk to can claim an account.
task<ipc::SaslAnswer> Dialogue::authenticate(ipc::SaslStart start) {
    auto [ours, theirs] = socket_pair(SOCK_STREAM);
    const std::string mechanism = start.mechanism;
    start.service = connection_.service.protocol.service;
    start.client_ip = connection_.peer.ip();
    start.client_port = connection_.peer.port();
    start.sid = connection_.sid;
    start.tls = io_.tls_info().version;
    start.channel_binding = io_.channel_binding().value_or("");
    start.session = std::move(theirs);
    connection_.session_asked = true;
    ipc::SaslAnswer answer;
    try {
        answer = co_await connection_.service.authd.call(std::move(start));
        while (answer.state == ipc::SaslState::challenge) {
            ipc::SaslGuard abort_unless_answered{connection_.service.authd, answer.exchange};
            ipc::SaslContinue next;
            next.exchange = answer.exchange;
            next.data = co_await respond(answer.data);
            abort_unless_answered.answered = true;
            answer = co_await connection_.service.authd.call(std::move(next));
        }
    } catch (const ipc::PeerLost& lost) {
        log::Event("login.peer_lost", log::Level::warning)
            .sid(connection_.sid)
            .with("what", lost.what());
        throw;
    }
    if (answer.state != ipc::SaslState::accepted) co_return answer;
    connection_.login = answer.login;
    say_logged_in(mechanism);
    set_nonblocking(ours.get());
    session_ = std::move(ours);
    co_return answer;
}

void Dialogue::say_logged_in(const std::string& mechanism) const {
    log::Event("login.accepted")
        .sid(connection_.sid)
        .with("ip", connection_.peer.ip())
        .with("mechanism", mechanism)
        .with("tls", io_.tls_info().version)
        .with("login", connection_.login);
}

} // namespace tambo::login

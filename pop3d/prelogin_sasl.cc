// USER, PASS (RFC 1939 7) and AUTH (RFC 5034): SASL messages carried between the client and authd.
#include "common/base/base64.h"
#include "common/base/text.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "pop3d/prelogin.h"

#include <sys/socket.h>

#include <utility>

namespace tambo::pop3d {

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
    if (!bytes) throw Bad{"that is not base64"};
    return std::move(*bytes);
}

} // namespace

// The same for every name: who has an account is nobody's business.
task<std::string> Prelogin::cmd_user(std::string args) {
    user_ = trim(args);
    if (user_.empty()) throw Bad{"a name is missing"};
    co_return "send PASS";
}

// SASL PLAIN in other words (RFC 4616). The password is the whole rest of the line.
task<std::string> Prelogin::cmd_pass(std::string args) {
    const std::string user = std::exchange(user_, "");
    if (user.empty()) throw Bad{"send USER first"};
    ipc::SaslStart start;
    start.mechanism = "PLAIN";
    start.has_initial = true;
    start.initial = cat('\0', user, '\0', args);
    co_await authenticate(std::move(start));
    co_return "";
}

task<std::string> Prelogin::cmd_auth(std::string args) {
    const auto [name, initial] = split_once(trim(args), ' ');
    if (name.empty()) throw Bad{"a mechanism is missing"};
    ipc::SaslStart start;
    start.mechanism = to_upper(name);
    if (start.mechanism != "PLAIN" && start.mechanism != "LOGIN") {
        throw No{"", "no such mechanism"};
    }
    if (!initial.empty()) { // "=" is an empty response
        start.has_initial = true;
        if (initial != "=") start.initial = decoded(initial);
    }
    co_await authenticate(std::move(start));
    co_return "";
}

// Ends with session_ set, or throws. Authd gets one end of a socket pair with the question and
// passes it on with the account when it accepts, so that no pop3d can claim an account.
task<> Prelogin::authenticate(ipc::SaslStart start) {
    co_await io_.flush(); // authd may take its time
    auto [ours, theirs] = socket_pair(SOCK_STREAM);
    const std::string mechanism = start.mechanism;
    start.service = ipc::Service::pop3;
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
            SaslGuard abort_unless_answered{connection_.service.authd, answer.exchange};
            ipc::SaslContinue next;
            next.exchange = answer.exchange;
            next.data = co_await response(answer.data);
            abort_unless_answered.answered = true;
            answer = co_await connection_.service.authd.call(std::move(next));
        }
    } catch (const ipc::PeerLost& lost) {
        log::Event("pop3.peer_lost", log::Level::warning)
            .sid(connection_.sid)
            .with("what", lost.what());
        throw No{"SYS/TEMP", "try again later"};
    }
    judge(answer);
    connection_.login = answer.login;
    log::Event("pop3.logged_in")
        .sid(connection_.sid)
        .with("ip", connection_.peer.ip())
        .with("mechanism", mechanism)
        .with("tls", io_.tls_info().version)
        .with("login", answer.login);
    set_nonblocking(ours.get());
    session_ = std::move(ours);
}

// What is refused is told in the same words, whatever the reason. RFC 3206 4, 6.
void Prelogin::judge(const ipc::SaslAnswer& answer) {
    if (answer.state == ipc::SaslState::accepted) return;
    if (answer.state == ipc::SaslState::refused) {
        ++failed_logins_;
        throw No{"AUTH", "authentication failed"};
    }
    if (answer.reason == "sessions") throw No{"SYS/TEMP", std::string(kTooManySessions)};
    if (answer.reason == "throttled") failed_logins_ = limits::bad_commands_prelogin;
    throw No{"SYS/TEMP", "try again later"};
}

// The client's answer to a challenge, as bytes. RFC 5034 4.
task<std::string> Prelogin::response(std::string challenge) {
    io_.put(cat("+ ", base64_encode(challenge), "\r\n"));
    co_await io_.flush();
    const std::string line = co_await next_line();
    if (over_) throw No{}; // it was too long, and has been answered
    if (line == "*") throw Bad{"cancelled"};
    co_return decoded(line);
}

} // namespace tambo::pop3d

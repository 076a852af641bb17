// USER, PASS (RFC 1939 7) and AUTH (RFC 5034): SASL messages carried between the client and authd.
#include "common/base/base64.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "pop3d/prelogin.h"

#include <utility>

namespace tambo::pop3d {

namespace {

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
    co_await log_in(std::move(start));
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
    co_await log_in(std::move(start));
    co_return "";
}

// Ends with session_ set, or throws.
task<> Prelogin::log_in(ipc::SaslStart start) {
    co_await io_.flush(); // authd may take its time
    ipc::SaslAnswer answer;
    bool is_lost = false;
    try {
        answer = co_await authenticate(std::move(start));
    } catch (const ipc::PeerLost&) {
        is_lost = true;
    }
    if (is_lost) throw No{"SYS/TEMP", "try again later"};
    judge(answer);
}

// What is refused is told in the same words, whatever the reason. RFC 3206 4, 6.
void Prelogin::judge(const ipc::SaslAnswer& answer) {
    if (answer.state == ipc::SaslState::accepted) return;
    if (answer.state == ipc::SaslState::refused) {
        ++failed_logins_;
        throw No{"AUTH", "authentication failed"};
    }
    if (answer.reason == "sessions") throw No{"SYS/TEMP", std::string(login::kTooManySessions)};
    if (answer.reason == "throttled") failed_logins_ = limits::bad_commands_prelogin;
    throw No{"SYS/TEMP", "try again later"};
}

// The client's answer to a challenge, as bytes. RFC 5034 4.
task<std::string> Prelogin::respond(std::string challenge) {
    io_.put(cat("+ ", base64_encode(challenge), "\r\n"));
    co_await io_.flush();
    const std::string line = co_await next_line();
    if (over_) throw No{}; // it was too long, and has been answered
    if (line == "*") throw Bad{"cancelled"};
    co_return decoded(line);
}

} // namespace tambo::pop3d

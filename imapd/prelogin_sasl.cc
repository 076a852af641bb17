// LOGIN and AUTHENTICATE (RFC 3501 6.2.2, 6.2.3, RFC 4959): SASL messages carried between the
// client and authd.
#include "common/base/base64.h"
#include "common/base/limits.h"
#include "common/base/text.h"
#include "imapd/prelogin.h"

namespace tambo::imapd {

using imap::Bad;
using imap::No;
using imap::Parser;

namespace {

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
    co_await log_in(std::move(start));
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
    co_await log_in(std::move(start));
    co_return "";
}

// Ends with session_ set, or throws.
task<> Prelogin::log_in(ipc::SaslStart start) {
    co_await io_.flush(); // authd may take its time
    start.session_hint = tag_;
    ipc::SaslAnswer answer;
    bool is_lost = false;
    try {
        answer = co_await authenticate(std::move(start));
    } catch (const ipc::PeerLost&) {
        is_lost = true;
    }
    if (is_lost) throw No("UNAVAILABLE", "try again later");
    judge(answer);
}

// What is refused is told in the same words, whatever the reason. RFC 5530.
void Prelogin::judge(const ipc::SaslAnswer& answer) {
    if (answer.state == ipc::SaslState::accepted) return;
    if (answer.state == ipc::SaslState::refused) {
        ++failed_logins_;
        throw No("AUTHENTICATIONFAILED", "authentication failed");
    }
    if (answer.reason == "sessions") throw No("LIMIT", std::string(login::kTooManySessions));
    if (answer.reason == "throttled") failed_logins_ = limits::bad_commands_prelogin;
    throw No("UNAVAILABLE", "try again later");
}

// The client's answer to a challenge, as bytes.
task<std::string> Prelogin::respond(std::string challenge) {
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

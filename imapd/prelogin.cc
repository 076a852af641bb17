// See prelogin.h. Nothing that a client sent before TLS counts after it, and nothing it sends is
// ever repeated to it but its tags.
#include "imapd/prelogin.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "imapd/session/args.h"
#include "imapd/session/capability.h"

#include <array>

namespace tambo::imapd {

using imap::Bad;
using imap::No;
using imap::Parser;

namespace {

// Whether the session says good-bye in its last line or two.
bool says_bye(std::string_view words) {
    return words.starts_with("* BYE ") || words.find("\n* BYE ") != std::string_view::npos;
}

login::Farewell part(const login::Ending& ending) {
    if (says_bye(ending.last_words)) return {"logout", ""};
    if (!ending.client_is_up) return {};
    return {"session_lost", "* BYE [UNAVAILABLE] The session has ended, connect again\r\n"};
}

} // namespace

const login::Protocol kProtocol{
    .clear_door = "imap",
    .tls_door = "imaps",
    .service = ipc::Service::imap,
    .silence_ms = limits::imap_prelogin_timeout_ms,
    .stalled_ms = limits::imap_idle_timeout_ms + 60'000,
    .has_literals = true,
    .full = "* BYE [UNAVAILABLE] Too many connections\r\n",
    .timeout = "* BYE timeout\r\n",
    .dialogue = [](login::Connection& connection) -> std::unique_ptr<login::Dialogue> {
        return std::make_unique<Prelogin>(connection);
    },
    .part = part,
};

task<UniqueFd> Prelogin::run() {
    io_.set_deadline(Loop::monotonic_ms() + connection_.service.pace.login_ms);
    const std::string refusal = co_await admit();
    if (!refusal.empty()) {
        if (connection_.door == login::Door::clear) {
            io_.put(cat("* BYE ", refusal, "\r\n"));
            co_await io_.flush();
            io_.finish();
        }
        co_return UniqueFd();
    }
    io_.put(cat("* OK [CAPABILITY ", capabilities(), "] ", connection_.service.config.hostname,
                " Tambo ready\r\n"));
    while (!over_ && !session_.valid()) {
        const Event event = co_await next_event();
        co_await on_event(event);
    }
    co_await io_.flush();
    if (over_) io_.finish();
    io_.set_deadline(0);
    co_return std::move(session_);
}

task<Prelogin::Event> Prelogin::next_event() {
    for (;;) {
        if (io_.output_pending() >= limits::output_prelogin_bytes) co_await io_.flush();
        auto input = io_.buffered();
        const size_t before = input.size();
        const Event event = reader_.feed(input);
        io_.consume(before - input.size());
        if (event != Event::more) co_return event;
        co_await io_.flush();
        const net::Wait wait = co_await io_.wait_input(connection_.service.pace.silence_ms);
        if (wait == net::Wait::timed_out) throw TimedOut{};
    }
}

// Messages do not come before login: the reader's limits say so.
task<> Prelogin::on_event(Event event) {
    if (event == Event::command) co_await command();
    if (event == Event::refused) co_await refuse();
    if (event == Event::go_ahead) {
        io_.put("+ OK\r\n");
        co_await io_.flush();
    }
    if (event == Event::hopeless) {
        if (*reader_.reason() != '\0') co_await refuse();
        if (!over_) co_await end("hopeless", "too much to be skipped");
    }
}

// The reader has refused a command: BAD, with its reason.
task<> Prelogin::refuse() {
    const std::string_view code = reader_.code();
    std::string line = cat(reader_.tag(), " BAD ");
    if (!code.empty()) cat_to(line, cat('[', code, "] "));
    cat_to(line, cat(std::string_view(reader_.reason()), "\r\n"));
    reader_.reset();
    co_await finish(std::move(line), true);
}

// ---- dispatch

const Prelogin::Row* Prelogin::find(std::string_view name) {
    static constexpr std::array<Row, 7> kRows{{{"AUTHENTICATE", &Prelogin::cmd_authenticate},
                                               {"CAPABILITY", &Prelogin::cmd_capability},
                                               {"ID", &Prelogin::cmd_id},
                                               {"LOGIN", &Prelogin::cmd_login},
                                               {"LOGOUT", &Prelogin::cmd_logout},
                                               {"NOOP", &Prelogin::cmd_noop},
                                               {"STARTTLS", &Prelogin::cmd_starttls}}};
    for (const Row& row : kRows) {
        if (iequals(row.name, name)) return &row;
    }
    return nullptr;
}

bool Prelogin::is_http() const {
    const std::string_view text = reader_.text();
    const auto method = text.substr(0, text.find(' '));
    return login::is_http_method(method) && ifind(text, " HTTP/") != std::string_view::npos;
}

task<> Prelogin::command() {
    if (std::exchange(first_, false) && is_http()) {
        co_await end("http", "this is IMAP");
        co_return;
    }
    if (++commands_ > limits::commands_prelogin) { // RULES.md D12
        co_await end("too_many_commands", "too many commands before the login");
        co_return;
    }
    tag_ = reader_.tag();
    std::string status = "OK ", text;
    bool bad = false;
    try {
        text = co_await execute();
    } catch (const No& e) {
        status = e.code.empty() ? "NO " : cat("NO [", e.code, "] ");
        text = e.text;
    } catch (const Bad& e) {
        status = e.code.empty() ? "BAD " : cat("BAD [", e.code, "] ");
        text = e.text;
        bad = true;
    }
    reader_.set_raw(false);
    reader_.reset();
    // The session answers a login that succeeded; STARTTLS was answered before the handshake.
    if (text.empty()) co_return;
    co_await finish(cat(tag_, ' ', status, text, "\r\n"), bad);
}

task<> Prelogin::finish(std::string line, bool bad) {
    io_.put(line);
    if (over_) co_return;
    if (bad && ++bad_commands_ >= limits::bad_commands_prelogin) {
        co_await end("bad_commands", "too many bad commands");
    } else if (failed_logins_ >= limits::bad_commands_prelogin) {
        co_await end("failed_logins", "too many failed logins");
    }
}

task<> Prelogin::end(std::string why, std::string text) {
    connection_.ended_why = std::move(why);
    over_ = true;
    io_.put(cat("* BYE ", text, "\r\n"));
    co_await io_.flush();
}

task<std::string> Prelogin::execute() {
    Parser in(reader_.text(), limits::imap_nesting_prelogin);
    if (!in.try_tag()) throw Bad("a tag is missing");
    in.space();
    const Row* row = find(in.atom());
    if (row == nullptr) throw Bad("no such command before the login");
    auto text = co_await (this->*row->run)(in);
    co_return text;
}

// ---- the commands

std::string Prelogin::capabilities() const {
    std::string text = cat(imap::kCapabilities, " SASL-IR");
    if (io_.tls()) return text + " AUTH=PLAIN AUTH=LOGIN";
    return text + (connection_.service.tls ? " STARTTLS LOGINDISABLED" : " LOGINDISABLED");
}

// Passwords only under TLS, on loopback too. RFC 3501 6.2.3, 11.1.
void Prelogin::require_tls() const {
    if (!io_.tls()) throw No("PRIVACYREQUIRED", "start TLS first");
}

task<std::string> Prelogin::cmd_capability(Parser& args) {
    args.end();
    io_.put(cat("* CAPABILITY ", capabilities(), "\r\n"));
    co_return "Capability completed";
}

task<std::string> Prelogin::cmd_noop(Parser& args) {
    args.end();
    co_return "Completed";
}

// RFC 2971. Not told: the version, to strangers.
task<std::string> Prelogin::cmd_id(Parser& args) {
    args.space();
    static_cast<void>(imap::parse_id(args));
    io_.put("* ID (\"name\" \"Tambo\")\r\n");
    co_return "ID completed";
}

task<std::string> Prelogin::cmd_logout(Parser& args) {
    args.end();
    io_.put("* BYE Logging out\r\n");
    connection_.ended_why = "logout";
    over_ = true;
    co_return "Logout completed";
}

// RFC 3501 6.2.1.
task<std::string> Prelogin::cmd_starttls(Parser& args) {
    args.end();
    if (io_.tls()) throw Bad("TLS is active");
    if (!connection_.service.tls) throw No("UNAVAILABLE", "no certificate");
    if (has_injected()) {
        io_.put(cat(tag_, " BAD bytes behind STARTTLS\r\n"));
        co_await end("starttls_injection", "bytes behind STARTTLS");
        co_return "";
    }
    io_.put(cat(tag_, " OK Begin TLS\r\n"));
    co_await io_.flush();
    co_await handshake();
    co_return "";
}

} // namespace tambo::imapd

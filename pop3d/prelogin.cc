// See prelogin.h. Nothing that a client sent before TLS counts after it, and nothing it sends is
// ever repeated to it.
#include "pop3d/prelogin.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "pop3d/session/capability.h"
#include "pop3d/session/command_line.h"

#include <algorithm>
#include <array>

namespace tambo::pop3d {

namespace {

// Room for the longest SASL PLAIN message that authd takes, in base64 behind its command. RFC 5034
// 4 wants more than the 255 bytes of other commands.
constexpr size_t kLineBytes =
    64 + (2 * limits::sasl_name_bytes + limits::sasl_password_bytes + 4) * 4 / 3;

void want_none(std::string_view args) {
    if (!trim(args).empty()) throw Bad{"wrong number of arguments"};
}

// POP3 has no word for the end of a session but its reply to QUIT; a login that nobody answered is
// answered here.
login::Farewell part(const login::Ending& ending) {
    if (ending.bytes_out == 0) return {"no_session", "-ERR [SYS/TEMP] try again later\r\n"};
    return {ending.client_is_up ? "end" : "", ""};
}

} // namespace

const login::Protocol kProtocol{
    .clear_door = "pop3",
    .tls_door = "pop3s",
    .service = ipc::Service::pop3,
    .silence_ms = limits::imap_prelogin_timeout_ms,
    .stalled_ms = limits::pop3_idle_timeout_ms + 60'000,
    .has_literals = false,
    .full = "-ERR [SYS/TEMP] too many connections\r\n",
    .timeout = "", // RFC 1939 3
    .dialogue = [](login::Connection& connection) -> std::unique_ptr<login::Dialogue> {
        return std::make_unique<Prelogin>(connection);
    },
    .part = part,
};

task<UniqueFd> Prelogin::run() {
    io_.set_deadline(Loop::monotonic_ms() + connection_.service.pace.login_ms);
    const std::string refusal = co_await admit();
    if (refusal.empty()) {
        io_.put(cat("+OK ", connection_.service.config.hostname, " Tambo ready\r\n"));
    } else {
        over_ = true;
        if (connection_.door == login::Door::clear) {
            io_.put(cat("-ERR [SYS/TEMP] ", refusal, "\r\n"));
        }
    }
    while (!over_ && !session_.valid()) {
        auto line = co_await next_line();
        if (!over_) co_await command(std::move(line));
    }
    co_await io_.flush();
    if (over_) io_.finish();
    io_.set_deadline(0);
    co_return std::move(session_);
}

// One write for all replies to what came together. A line that is too long ends the connection.
task<std::string> Prelogin::next_line() {
    const bool much = io_.output_pending() >= limits::output_prelogin_bytes;
    if (much || !io_.has_line()) co_await io_.flush();
    std::string line;
    try {
        line = co_await io_.read_line(kLineBytes);
    } catch (const net::LineTooLong&) {
        end("line_too_long", "line too long");
    }
    co_return line;
}

void Prelogin::end(std::string why, std::string_view text) {
    connection_.ended_why = std::move(why);
    over_ = true;
    if (!text.empty()) io_.put(cat("-ERR ", text, "\r\n"));
}

// ---- dispatch

const Prelogin::Row* Prelogin::find(std::string_view name) {
    static constexpr std::string_view kTlsFirst = "use TLS first";
    static constexpr std::array<Row, 6> kRows{{
        {"AUTH", kSecured, kTlsFirst, &Prelogin::cmd_auth},
        {"CAPA", kClear | kSecured, "", &Prelogin::cmd_capa},
        {"PASS", kSecured, kTlsFirst, &Prelogin::cmd_pass},
        {"QUIT", kClear | kSecured, "", &Prelogin::cmd_quit},
        {"STLS", kClear, "TLS is active", &Prelogin::cmd_stls},
        {"USER", kSecured, kTlsFirst, &Prelogin::cmd_user},
    }};
    const auto* const row = std::find_if(kRows.begin(), kRows.end(),
                                         [name](const Row& r) { return iequals(r.name, name); });
    return row == kRows.end() ? nullptr : row;
}

task<> Prelogin::command(std::string line) {
    if (++commands_ > limits::commands_prelogin) { // RULES.md D12
        end("too_many_commands", "too many commands before the login");
        co_return;
    }
    std::string text, code, bad;
    bool refused = false;
    try {
        text = co_await execute(line);
    } catch (const No& no) {
        refused = true;
        code = no.code.empty() ? "" : cat('[', no.code, "] ");
        text = no.text;
    } catch (const Bad& e) {
        bad = e.text;
    }
    if (!bad.empty()) {
        answer_bad(bad);
    } else if (!text.empty()) {
        io_.put(cat(refused ? "-ERR " : "+OK ", code, text, "\r\n"));
    }
    if (failed_logins_ >= limits::bad_commands_prelogin) end("failed_logins", "");
}

void Prelogin::answer_bad(std::string_view text) {
    if (++bad_commands_ < limits::bad_commands_prelogin) {
        io_.put(cat("-ERR ", text, "\r\n"));
    } else {
        end("bad_commands", "too many bad commands");
    }
}

task<std::string> Prelogin::execute(std::string_view line) {
    const pop3::CommandLine command = pop3::parse_command(line);
    if (login::is_http_method(command.name)) {
        end("http", "this is POP3");
        co_return "";
    }
    if (line.find('\0') != std::string_view::npos) throw Bad{"no such command"};
    const Row* row = find(command.name);
    if (row == nullptr) throw Bad{"no such command before the login"};
    const unsigned state = io_.tls() ? kSecured : kClear;
    if ((row->states & state) == 0) throw Bad{std::string(row->elsewhere)};
    auto text = co_await (this->*row->run)(std::string(command.rest));
    co_return text;
}

// ---- the commands

// Exactly what works now. RFC 2449 5, RFC 2595 4.
task<std::string> Prelogin::cmd_capa(std::string args) {
    want_none(args);
    const bool stls = !io_.tls() && connection_.service.tls;
    io_.put(cat("+OK capabilities\r\n", pop3::kCapabilities,
                io_.tls() ? pop3::kLoginCapabilities : "", stls ? "STLS\r\n" : "", ".\r\n"));
    co_return "";
}

task<std::string> Prelogin::cmd_quit(std::string args) {
    want_none(args);
    connection_.ended_why = "quit";
    over_ = true;
    co_return "good-bye";
}

// RFC 2595 4.
task<std::string> Prelogin::cmd_stls(std::string args) {
    want_none(args);
    if (!connection_.service.tls) throw No{"SYS/PERM", "no certificate"};
    if (has_injected()) {
        end("stls_injection", "bytes behind STLS");
        co_return "";
    }
    io_.put("+OK begin TLS\r\n");
    co_await io_.flush();
    co_await handshake();
    co_return "";
}

} // namespace tambo::pop3d

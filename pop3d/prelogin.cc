// See prelogin.h. Nothing that a client sent before TLS counts after it, and nothing it sends is
// ever repeated to it.
#include "pop3d/prelogin.h"

#include "common/base/text.h"
#include "common/sys/log.h"
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

// Browsers that were led here: closed at their first line (ALPACA, RULES.md F10).
constexpr std::array<std::string_view, 9> kHttpMethods{
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE"};

bool is_http(std::string_view name) {
    return std::any_of(kHttpMethods.begin(), kHttpMethods.end(),
                       [name](std::string_view method) { return iequals(method, name); });
}

void want_none(std::string_view args) {
    if (!trim(args).empty()) throw Bad{"wrong number of arguments"};
}

} // namespace

task<UniqueFd> Prelogin::run() {
    io_.set_deadline(Loop::monotonic_ms() + connection_.service.pace.login_ms);
    const bool admitted = co_await admit();
    if (admitted) {
        io_.put(cat("+OK ", connection_.service.config.hostname, " Tambo ready\r\n"));
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

// Limits per address are authd's. Without authd nobody is refused: nobody can log in either.
task<bool> Prelogin::admit() {
    Service& service = connection_.service;
    const bool exempt = connection_.peer.is_loopback() && !service.config.limits_on_loopback;
    if (!exempt) {
        ipc::ConnectionOpened opened;
        opened.service = ipc::Service::pop3;
        opened.client_ip = connection_.peer.ip();
        ipc::ConnectionVerdict verdict;
        try {
            verdict = co_await service.authd.call(std::move(opened));
            connection_.counted = verdict.allowed;
        } catch (const ipc::PeerLost&) {
            log::Event("pop3.uncounted", log::Level::warning)
                .sid(connection_.sid)
                .with("ip", connection_.peer.ip());
        }
        if (!verdict.allowed) {
            end("limit", "");
            if (connection_.door == Door::pop3) {
                io_.put(cat("-ERR [SYS/TEMP] ", verdict.reason, "\r\n"));
            }
            co_return false;
        }
    }
    if (connection_.door == Door::pop3s) co_await handshake();
    co_return true;
}

task<> Prelogin::handshake() {
    if (!connection_.service.tls) throw net::TlsError("no certificate");
    const TlsContext context = *connection_.service.tls;
    co_await io_.start_tls_server(context);
    const TlsInfo info = io_.tls_info();
    log::Event("pop3.tls")
        .sid(connection_.sid)
        .with("version", info.version)
        .with("cipher", info.cipher)
        .with("group", info.group)
        .with("sni", info.sni);
}

// One write for all replies to what came together. A line that is too long ends the connection.
task<std::string> Prelogin::next_line() {
    if (!io_.has_line()) co_await io_.flush();
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
    if (is_http(command.name)) {
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

// RFC 2595 4. A byte behind the command was sent in clear and would be taken as if it had come
// under TLS: no handshake then (CVE-2011-0411, RULES.md F7).
task<std::string> Prelogin::cmd_stls(std::string args) {
    want_none(args);
    if (!connection_.service.tls) throw No{"SYS/PERM", "no certificate"};
    if (io_.buffered().empty()) static_cast<void>(io_.poll_input());
    if (!io_.buffered().empty()) {
        log::Event("pop3.stls_injection", log::Level::notice)
            .sid(connection_.sid)
            .with("ip", connection_.peer.ip());
        end("stls_injection", "bytes behind STLS");
        co_return "";
    }
    io_.put("+OK begin TLS\r\n");
    co_await io_.flush();
    co_await handshake();
    co_return "";
}

} // namespace tambo::pop3d

// See session.h. The loop writes once for each batch of pipelined commands, and stops reading while
// the client does not read.
#include "smtpd/session.h"

#include "common/base/text.h"
#include "common/ipc/messages/authd.h"
#include "common/smtp/reply_texts.h"
#include "common/sys/log.h"

#include <algorithm>
#include <array>

namespace tambo::smtpd {

namespace replies = smtp::replies;
using smtp::Reject;
using smtp::Reply;

namespace {

constexpr size_t kLingerBytesMax = 16u << 20;

// Browsers that were made to talk to us (ALPACA, RULES.md F10).
constexpr std::array<std::string_view, 10> kHttpVerbs{
    "GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PATCH", "TRACE", "PRI"};

std::string_view door_name(Door door) {
    switch (door) {
    case Door::smtp:
        return "smtp";
    case Door::submission:
        return "submission";
    case Door::submissions:
        return "submissions";
    case Door::local:
        return "local";
    }
    return "smtp";
}

} // namespace

const Session::Verb Session::kVerbs[] = {
    {"EHLO", anywhere, junk | ends_group | before_tls, &Session::cmd_ehlo},
    {"HELO", anywhere, junk | ends_group | before_tls, &Session::cmd_helo},
    {"MAIL", greeted, pipelines, &Session::cmd_mail},
    {"RCPT", in_mail, pipelines, &Session::cmd_rcpt},
    {"DATA", in_mail, ends_group | reads_on, &Session::cmd_data},
    {"RSET", anywhere, junk | before_tls, &Session::cmd_rset},
    {"NOOP", anywhere, junk | before_tls, &Session::cmd_noop},
    {"QUIT", anywhere, before_tls, &Session::cmd_quit},
    {"VRFY", anywhere, junk, &Session::cmd_vrfy},
    {"EXPN", anywhere, junk, &Session::cmd_expn},
    {"HELP", anywhere, junk, &Session::cmd_help},
    {"STARTTLS", anywhere, before_tls | reads_on, &Session::cmd_starttls},
    {"AUTH", greeted, reads_on, &Session::cmd_auth},
    {"BDAT", anywhere, plain, &Session::cmd_bdat},
    {"XCLIENT", anywhere, plain, &Session::cmd_xclient},
};

const Session::Verb* Session::find_verb(std::string_view name) {
    for (const Verb& verb : kVerbs) {
        if (iequals(verb.name, name)) return &verb;
    }
    return nullptr;
}

Session::Session(Service& service, UniqueFd socket, Arrival arrival)
    : service_(service), stream_(service.nursery, std::move(socket), service.pace.command_ms),
      arrival_(std::move(arrival)), sid_(Id{service.random.u64(), service.random.u64()}.text()),
      started_ms_(Loop::monotonic_ms()), session_end_ms_(started_ms_ + service.pace.session_ms),
      arrived_ms_(started_ms_) {
    service_.sessions.insert(this);
}

Session::~Session() {
    service_.sessions.erase(this);
    if (counted_) service_.authd.send(ipc::ConnectionClosed{ipc_service(), client_ip()});
    log::Event("smtp.disconnected")
        .sid(sid_)
        .with("ip", client_ip())
        .with("why", ended_why_)
        .with("messages", static_cast<int64_t>(messages_))
        .with("recipients", static_cast<int64_t>(recipients_))
        .with("errors", errors_)
        .with("ms", Loop::monotonic_ms() - started_ms_);
}

task<> Session::serve(Service& service, UniqueFd socket, Arrival arrival) {
    Session session(service, std::move(socket), std::move(arrival));
    co_await session.run();
}

task<> Session::run() {
    log::Event("smtp.connected")
        .sid(sid_)
        .with("ip", client_ip())
        .with("port", arrival_.peer.port())
        .with("door", door_name(arrival_.door));
    stream_.set_deadline(session_end_ms_);
    std::optional<Reply> last;
    try {
        co_await talk();
    } catch (const Farewell& farewell) {
        last = farewell.reply;
        ended_why_ = farewell.why;
    } catch (const TimedOut&) {
        last = replies::timed_out;
        ended_why_ = "timeout";
    } catch (const net::LineTooLong&) {
        last = replies::line_too_long;
        ended_why_ = "line_too_long";
    } catch (const net::TlsError& e) {
        ended_why_ = "tls";
        log::Event("smtp.tls_failed", log::Level::notice)
            .sid(sid_)
            .with("ip", client_ip())
            .with("error", e.what());
    }
    if (last) co_await take_leave(std::move(*last));
}

task<> Session::talk() {
    co_await admit();
    co_await greet();
    co_await read_commands();
}

bool Session::exempt_from_limits() const {
    return arrival_.peer.is_loopback() && !service_.config.limits_on_loopback;
}

std::string_view Session::unqualified_domain() const {
    return is_local() ? std::string_view(service_.config.hostname) : std::string_view();
}

ipc::Service Session::ipc_service() const {
    return service_.is_mx() ? ipc::Service::mx : ipc::Service::submission;
}

// Limits per address are authd's. Without authd nothing is refused here: RCPT waits for it anyway.
task<> Session::admit() {
    if (is_local()) {
        admit_local_user();
        co_return;
    }
    if (exempt_from_limits()) co_return;
    ipc::ConnectionOpened opened;
    opened.service = ipc_service();
    opened.client_ip = client_ip();
    try {
        auto verdict = co_await service_.authd.call(std::move(opened));
        counted_ = verdict.allowed;
        if (!verdict.allowed) throw Farewell(Reply(421, "4.7.0", verdict.reason), "limit");
    } catch (const ipc::PeerLost&) {
        log::Event("smtp.uncounted", log::Level::warning).sid(sid_).with("ip", client_ip());
    }
}

void Session::admit_local_user() {
    token_ = std::move(arrival_.token);
    login_ = std::move(arrival_.login);
    log::Event("smtp.local_user")
        .sid(sid_)
        .with("uid", static_cast<int64_t>(arrival_.uid))
        .with("login", login_);
}

// The wait makes early talkers show themselves (RULES.md F15).
task<> Session::greet() {
    if (arrival_.door == Door::submissions) co_await handshake();
    const int64_t wait_ms = service_.config.greeting_wait_ms;
    if (service_.is_mx() && wait_ms > 0 && !exempt_from_limits()) {
        const auto wait = co_await stream_.wait_input(wait_ms);
        if (wait == net::Wait::input) throw Farewell(replies::out_of_turn, "early_talker");
    }
    arrived_ms_ = Loop::monotonic_ms();
    put(Reply(220, "", cat(service_.config.hostname, " ESMTP Tambo")));
}

task<> Session::read_commands() {
    while (!closing_) {
        const size_t bytes_max =
            service_.is_mx() ? limits::smtp_line_bytes : limits::smtp_auth_line_bytes;
        auto line = co_await next_line(bytes_max);
        auto reply = co_await dispatch(line);
        co_await settle(std::move(reply));
    }
    co_await stream_.flush();
    stream_.finish();
}

// Only CRLF ends a command line (RFC 5321 2.3.8): a line that ends with a bare LF goes on. The view
// is good until the next read.
task<std::string_view> Session::next_line(size_t bytes_max) {
    long_line_.clear();
    for (;;) {
        if (!stream_.has_line() || stream_.output_pending() > limits::output_pending_bytes) {
            co_await stream_.flush();
        }
        stream_.set_timeout(service_.is_stressed() ? service_.pace.stressed_command_ms
                                                   : service_.pace.command_ms);
        auto wait = net::Wait::woken;
        while (wait == net::Wait::woken && stream_.buffered().empty() && !must_leave()) {
            wait = co_await stream_.wait_input(0);
            if (wait == net::Wait::timed_out) throw TimedOut{};
        }
        if (must_leave()) throw Farewell(replies::shutting_down, "draining");
        auto line = co_await stream_.read_line(bytes_max - long_line_.size());
        if (!stream_.line_was_bare_lf() && long_line_.empty()) co_return line;
        long_line_.append(line);
        if (!stream_.line_was_bare_lf()) co_return long_line_;
        long_line_.push_back('\n');
        if (long_line_.size() >= bytes_max) throw net::LineTooLong{};
    }
}

// A client that is told to come again between two messages does so. One that has just come, or is
// in the middle of a message, might show its user an error instead: it may finish.
bool Session::must_leave() const {
    if (!service_.draining || service_.leaving) return service_.leaving;
    const bool newcomer =
        messages_ == 0 && Loop::monotonic_ms() - arrived_ms_ < service_.pace.newcomer_ms;
    return state_ != in_mail && !newcomer;
}

task<Reply> Session::dispatch(std::string_view line) {
    refused_rcpt_.clear();
    refused_from_.clear();
    refusal_logged_ = false;
    Reply reply;
    const auto command = smtp::split_command(line);
    const Verb* verb = find_verb(command.verb);
    const bool line_stays = verb == nullptr || (verb->traits & reads_on) == 0;
    const bool is_auth = verb != nullptr && verb->handler == &Session::cmd_auth;
    if (line.size() > limits::smtp_line_bytes - 2 && !is_auth) throw net::LineTooLong{};
    try {
        if (line.find('\0') != std::string_view::npos) throw Reject(replies::bad_bytes);
        if (verb == nullptr) refuse_unknown(command.verb);
        check_turn(*verb);
        reply = co_await (this->*verb->handler)(command.arguments);
    } catch (const Reject& reject) {
        reply = reject.reply;
    } catch (const ipc::PeerLost& e) {
        reply = replies::local_error;
        log::Event("smtp.peer_lost", log::Level::warning).sid(sid_).with("what", e.what());
    }
    if (reply.refused() && line_stays) {
        log_refusal(command.verb, command.arguments, reply);
    } else if (reply.refused() && !refusal_logged_) {
        log_refusal(verb->name, {}, reply);
    }
    co_return reply;
}

void Session::check_turn(const Verb& verb) const {
    const bool more = !stream_.buffered().empty();
    const bool may_pipeline = announced_.has(smtp::Extension::pipelining);
    const bool unauthorised =
        (verb.traits & ends_group) != 0 || ((verb.traits & pipelines) != 0 && !may_pipeline);
    if (service_.is_mx() && more && unauthorised) {
        throw Farewell(replies::out_of_turn, "pipelining");
    }
    const bool needs_tls = arrival_.door == Door::submission && !stream_.tls();
    if (needs_tls && (verb.traits & before_tls) == 0) throw Reject(replies::tls_first);
    if ((verb.allowed & state_) == 0) throw Reject(replies::bad_sequence);
}

void Session::refuse_unknown(std::string_view verb) const {
    const auto is_verb = [&](std::string_view known) { return iequals(known, verb); };
    if (std::any_of(kHttpVerbs.begin(), kHttpVerbs.end(), is_verb)) {
        throw Farewell(replies::not_smtp, "http");
    }
    // No listener takes the PROXY protocol: what follows is not SMTP (RULES.md A1).
    if (is_verb("PROXY")) throw Farewell(replies::unknown_command, "proxy");
    throw Reject(replies::unknown_command);
}

// Counts, delays those who make many errors, and puts the reply into the batch.
task<> Session::settle(Reply reply) {
    if (reply.code == 0) co_return; // the handler has answered
    count_errors(reply);
    if (errors_ > limits::smtp_errors_soft && reply.permanent() &&
        service_.pace.error_delay_ms > 0) {
        co_await stream_.flush();
        co_await sleep_ms(service_.nursery, service_.pace.error_delay_ms);
    }
    put(reply);
}

void Session::count_errors(const Reply& reply) {
    if (reply.permanent()) ++errors_;
    if (errors_ >= limits::smtp_errors_hard || junk_ > limits::smtp_junk_commands) {
        throw Farewell(replies::too_many_errors, "errors");
    }
}

void Session::log_refusal(std::string_view verb,
                          std::string_view arguments,
                          const Reply& reply) const {
    log::Event event("smtp.refused", log::Level::notice);
    event.sid(sid_)
        .with("ip", client_ip())
        .with("reply", cat(reply.code, ' ', reply.enhanced, ' ', reply.text))
        .with("login", login_)
        .with("from", refused_from_.empty() ? transaction_.reverse_path : refused_from_)
        .with("command", verb)
        .with("arguments", arguments);
    if (!refused_rcpt_.empty()) event.rcpt(refused_rcpt_);
}

// The last reply must reach a client that is still sending: closing with unread bytes would reset
// the connection, and the reply with it.
task<> Session::take_leave(Reply reply) {
    log::Event("smtp.closing", log::Level::notice)
        .sid(sid_)
        .with("ip", client_ip())
        .with("why", ended_why_)
        .with("reply", cat(reply.code, ' ', reply.enhanced, ' ', reply.text));
    put(reply);
    stream_.set_deadline(Loop::monotonic_ms() + service_.pace.linger_ms);
    co_await stream_.flush();
    stream_.finish();
    for (size_t read = 0; read < kLingerBytesMax;) {
        auto rest = co_await stream_.read_some(limits::output_pending_bytes);
        read += rest.size();
    }
}

void Session::put(const Reply& reply) {
    std::string bytes;
    reply.append_to(bytes);
    stream_.put(bytes);
}

void Session::end_transaction() {
    transaction_ = Transaction{};
    if (state_ != fresh) state_ = greeted;
}

} // namespace tambo::smtpd

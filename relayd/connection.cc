// See connection.h.
#include "relayd/connection.h"

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/base/text.h"

#include <algorithm>

namespace tambo::relayd {

namespace {

using smtp::Extension;
using smtp::ReplyParser;
using smtp::ServerReply;

constexpr int kServiceReady = 220; // RFC 5321 4.2.3
constexpr int kClosing = 421;
constexpr int kAcceptsNoMail = 521;    // RFC 7504 3
constexpr size_t kAuthLineBytes = 512; // longer initial responses wait for the 334

bool verified_wanted(const SessionPolicy& policy) {
    return policy.tls == conf::TlsDemand::verify;
}

} // namespace

Connection::Connection(Nursery& nursery, UniqueFd socket, Hop hop, const Timeouts& timeouts)
    : opened_at_ms(Loop::monotonic_ms()), hop_(std::move(hop)), timeouts_(timeouts),
      stream_(nursery, std::move(socket), timeouts.command_ms) {}

void Connection::put(std::string_view command) {
    check(std::ranges::none_of(command, [](char c) { return c == '\r' || c == '\n' || c == 0; }),
          "a command is one line");
    stream_.put(command);
    stream_.put("\r\n");
}

task<ServerReply> Connection::reply(std::string stage, int64_t timeout_ms) {
    stage_ = std::move(stage);
    set_deadline(timeout_ms);
    if (stream_.output_pending() > 0) co_await stream_.flush();
    auto answer = co_await read_reply();
    co_return answer;
}

task<ServerReply> Connection::read_reply() {
    ReplyParser parser;
    for (;;) {
        stream_.consume(parser.feed(stream_.buffered()));
        if (parser.state() != ReplyParser::State::wanting) break;
        const auto what = co_await stream_.wait_input(0);
        if (what == net::Wait::timed_out) throw TimedOut{};
    }
    if (parser.state() == ReplyParser::State::malformed) {
        usable_ = false;
        throw ProtocolError("malformed reply");
    }
    if (parser.state() == ReplyParser::State::overlong) {
        usable_ = false;
        if (parser.reply().positive()) throw ProtocolError("endless reply");
    }
    if (parser.reply().code == kClosing) fail(Verdict::of(parser.reply()));
    co_return parser.take_reply();
}

void Connection::set_deadline(int64_t timeout_ms) {
    const int64_t end_ms = opened_at_ms + timeouts_.session_ms;
    stream_.set_deadline(std::min(Loop::monotonic_ms() + timeout_ms, end_ms));
}

bool Connection::fail(const Verdict& verdict) {
    failure_ = verdict;
    usable_ = false;
    return false;
}

task<Connection::Opened> Connection::open(const SessionPolicy& policy,
                                          const TlsContexts& contexts) {
    if (policy.implicit_tls) {
        const bool secured = co_await handshake(policy, contexts);
        if (!secured) co_return Opened::failed;
    }
    const bool greeted = co_await greet();
    if (!greeted) co_return Opened::failed;
    const bool known = co_await hello(policy.hostname);
    if (!known) co_return Opened::failed;
    if (!policy.implicit_tls) {
        const auto opened = co_await start_tls(policy, contexts);
        if (opened != Opened::ready) co_return opened;
    }
    if (policy.user.empty()) co_return Opened::ready;
    const bool logged_in = co_await log_in(policy);
    co_return logged_in ? Opened::ready : Opened::failed;
}

task<bool> Connection::greet() {
    const auto greeting = co_await reply("the greeting", timeouts_.command_ms);
    if (greeting.code == kServiceReady) co_return true;
    auto verdict = Verdict::of(greeting);
    // Another server, or this one later, may take what this one does not now. Only 521 is a
    // statement about the domain's mail (RFC 7504 4).
    verdict.permanent = greeting.code == kAcceptsNoMail;
    co_return fail(verdict);
}

// RFC 5321 4.1.1.1: EHLO, and HELO where that is not known.
task<bool> Connection::hello(const std::string& hostname) {
    offer_ = {};
    put(cat("EHLO ", hostname));
    auto answer = co_await reply("the reply to EHLO", timeouts_.command_ms);
    if (accepts(answer)) {
        offer_ = smtp::parse_offer(answer);
        co_return true;
    }
    if (!answer.permanent() || !usable_) co_return fail(Verdict::of(answer));
    put(cat("HELO ", hostname));
    answer = co_await reply("the reply to HELO", timeouts_.command_ms);
    if (accepts(answer)) co_return true;
    co_return fail(Verdict::of(answer));
}

// RFC 3207 4.
task<Connection::Opened> Connection::start_tls(const SessionPolicy& policy,
                                               const TlsContexts& contexts) {
    const bool demanded = policy.tls != conf::TlsDemand::opportunistic;
    if (!policy.starttls && !demanded) co_return Opened::ready;
    if (!offers(Extension::starttls)) {
        if (!demanded) co_return Opened::ready;
        fail(Verdict::ours(454, "4.7.4", cat(hop_.text(), " does not offer STARTTLS")));
        co_return Opened::failed;
    }
    put("STARTTLS");
    ServerReply go;
    try {
        go = co_await reply("the reply to STARTTLS", timeouts_.command_ms);
    } catch (const Closed&) {
        go.code = kClosing;
        usable_ = false;
    }
    if (go.code != kServiceReady) {
        if (!demanded && usable_) co_return Opened::ready;
        fail(Verdict::ours(454, "4.7.4", cat(hop_.text(), " refuses STARTTLS: ", go.text())));
        co_return demanded ? Opened::failed : Opened::tls_failed;
    }
    if (!stream_.buffered().empty() || stream_.poll_input()) { // RULES.md F8
        fail(
            Verdict::ours(454, "4.7.5", cat(hop_.text(), " sent more than its reply to STARTTLS")));
        co_return Opened::failed;
    }
    const bool secured = co_await handshake(policy, contexts);
    if (!secured) co_return demanded ? Opened::failed : Opened::tls_failed;
    const bool known = co_await hello(policy.hostname);
    co_return known ? Opened::ready : Opened::failed;
}

// A certificate that does not fit matters only where it is demanded; otherwise any is better than
// none.
task<bool> Connection::handshake(const SessionPolicy& policy, const TlsContexts& contexts) {
    stage_ = "the TLS handshake";
    if (verified_wanted(policy) && !contexts.can_verify) {
        co_return fail(
            Verdict::ours(454, "4.7.5", cat("no trusted roots to verify ", hop_.text(), " with")));
    }
    set_deadline(timeouts_.tls_ms);
    const auto& context = verified_wanted(policy) ? contexts.required : contexts.opportunistic;
    TlsPeer peer;
    const bool named = !hop_.host.starts_with('[');
    if (named) peer.sni = hop_.host;
    peer.names.push_back(named ? hop_.host : hop_.address.ip());
    std::string problem;
    try {
        co_await stream_.start_tls_client(context, peer);
    } catch (const net::TlsError& e) {
        problem = e.what();
    } catch (const Closed&) {
        problem = "connection closed";
    } catch (const TimedOut&) {
        problem = "timed out";
    }
    if (problem.empty()) co_return true;
    co_return fail(
        Verdict::ours(454, "4.7.5", cat("TLS handshake with ", hop_.text(), ": ", problem)));
}

// A refused login is our administrator's fault: the mail waits until it is put right.
task<bool> Connection::log_in(const SessionPolicy& policy) {
    const auto has = [&](std::string_view mechanism) {
        return std::ranges::find(offer_.mechanisms, mechanism) != offer_.mechanisms.end();
    };
    if (!stream_.tls() && !hop_.address.is_loopback()) {
        co_return fail(Verdict::ours(454, "4.7.11",
                                     cat("no password is sent to ", hop_.text(), " without TLS")));
    }
    std::vector<std::string> lines; // the command and what answers the challenges
    if (has("PLAIN")) {             // RFC 4616
        const auto response = base64_encode(cat('\0', policy.user, '\0', policy.password));
        lines = {cat("AUTH PLAIN ", response)};
        if (lines[0].size() > kAuthLineBytes) lines = {"AUTH PLAIN", response};
    } else if (has("LOGIN")) {
        lines = {"AUTH LOGIN", base64_encode(policy.user), base64_encode(policy.password)};
    } else {
        co_return fail(Verdict::ours(
            454, "4.7.0", cat(hop_.text(), " offers neither AUTH PLAIN nor AUTH LOGIN")));
    }
    ServerReply answer;
    for (size_t i = 0; i < lines.size(); ++i) { // RFC 4954 4
        put(lines[i]);
        answer = co_await reply("the reply to AUTH", timeouts_.command_ms);
        if (answer.code != 334) break;
    }
    if (answer.code == 235) co_return true; // RFC 4954 6
    auto verdict = Verdict::of(answer);
    verdict.permanent = false;
    co_return fail(verdict);
}

} // namespace tambo::relayd

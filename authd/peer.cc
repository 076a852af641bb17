#include "authd/peer.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/crypto/digest.h"
#include "common/sys/log.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace tambo::authd {

namespace {

constexpr size_t kExchangesMax = 10'000; // of one peer
constexpr size_t kSessionsMax = 100'000; // of one peer; imap.sessions_max can be no more

// Of what a daemon says of a connection (session, address, TLS), and of why the keeper attaches
// none.
constexpr size_t kTextMax = 256;
constexpr size_t kHintMax = limits::imap_line_prelogin_bytes; // a tag

// What goes on to the keeper, or is kept, must leave room for what is added to it.
bool is_bounded(const ipc::SaslStart& start) {
    const size_t longest = std::max(
        {start.client_ip.size(), start.sid.size(), start.tls.size(), start.channel_binding.size()});
    return longest <= kTextMax && start.session_hint.size() <= kHintMax;
}

// What a daemon serves logins for; master's word, as the peer's name is. Whoever is not here has no
// clients that log in.
std::optional<ipc::Service> login_class(std::string_view peer) {
    if (peer.starts_with("submit.")) return ipc::Service::submission;
    if (peer.starts_with("imapd.")) return ipc::Service::imap;
    if (peer.starts_with("pop3d.")) return ipc::Service::pop3;
    return std::nullopt;
}

ipc::SaslAnswer unavailable(std::string reason) {
    ipc::SaslAnswer answer;
    answer.state = ipc::SaslState::unavailable;
    answer.reason = std::move(reason);
    return answer;
}

} // namespace

Peer::Peer(Service& service, ipc::Channel& channel) : service_(service), channel_(channel) {
    channel.on<ipc::ConnectionOpened>(*this, &Peer::opened);
    channel.on<ipc::ConnectionClosed>(*this, &Peer::closed);
    channel.on<ipc::SaslStart>(*this, &Peer::sasl_start);
    channel.on<ipc::SaslContinue>(*this, &Peer::sasl_continue);
    channel.on<ipc::SaslAbort>(*this, &Peer::sasl_abort);
    channel.on<ipc::SessionEnded>(*this, &Peer::session_ended);
    channel.on<ipc::CheckSender>(*this, &Peer::check_sender);
    channel.on<ipc::CheckRecipient>(*this, &Peer::check_recipient);
    // Users of the host go to submit alone, only queued resolves, only the keeper learns about
    // accounts: the name is master's word.
    if (channel.peer().starts_with("submit.")) service.local_door().add(channel);
    if (channel.peer() == "queued") channel.on<ipc::Resolve>(*this, &Peer::resolve);
    if (channel.peer() == "keeper") {
        channel.on<ipc::AskAccount>(*this, &Peer::ask_account);
        channel.on<ipc::AccountRoom>(*this, &Peer::account_room);
        channel.on<ipc::AccountBuried>(*this, &Peer::account_buried);
    }
    channel.on_lost = [this] { forget_clients(); };
}

Peer::~Peer() {
    service_.local_door().remove(channel_);
    forget_clients();
}

void Peer::forget_clients() {
    for (const auto& [who, count] : connections_) {
        for (int i = 0; i < count; ++i)
            service_.throttle().close(who.first, who.second);
    }
    for (const auto& [sid, session] : sessions_) {
        service_.throttle().close_session(session.account, session.client_ip);
    }
    connections_.clear();
    sessions_.clear();
    exchanges_.clear();
}

task<ipc::ConnectionVerdict> Peer::opened(ipc::ConnectionOpened message) {
    if (message.client_ip.size() > kTextMax) co_return ipc::ConnectionVerdict{false, "malformed"};
    auto verdict = service_.throttle().open(message.service, message.client_ip);
    if (verdict.allowed) connections_[{message.service, message.client_ip}]++;
    co_return verdict;
}

void Peer::closed(ipc::ConnectionClosed message) {
    const auto found = connections_.find({message.service, message.client_ip});
    if (found == connections_.end()) return;
    service_.throttle().close(message.service, message.client_ip);
    if (--found->second == 0) connections_.erase(found);
}

task<ipc::ReplyText> Peer::check_sender(ipc::CheckSender message) {
    co_return service_.check_sender(message.token, message.address);
}

task<ipc::ReplyText> Peer::check_recipient(ipc::CheckRecipient message) {
    // The mx can neither relay nor send as us, whatever it says: its class is in its name.
    if (channel_.peer().starts_with("mx.")) message.service = ipc::Service::mx;
    co_return service_.check_recipient(message);
}

task<ipc::Resolution> Peer::resolve(ipc::Resolve message) {
    co_return service_.resolve(message);
}

task<ipc::AccountFacts> Peer::ask_account(ipc::AskAccount message) {
    co_return service_.account_facts(message.account);
}

void Peer::account_room(ipc::AccountRoom message) {
    service_.set_room(message.account, message.refused_from_bytes);
}

void Peer::account_buried(ipc::AccountBuried message) {
    service_.account_buried(message.account);
}

// ---- SASL

task<ipc::SaslAnswer> Peer::sasl_start(ipc::SaslStart message) {
    ipc::SaslAnswer refused;
    refused.state = ipc::SaslState::refused;
    // An mx that has been taken over tries no passwords, and nobody logs in for another service.
    const auto service = login_class(channel_.peer());
    if (!service) {
        log::Event("auth.wrong_class", log::Level::error).with("peer", channel_.peer());
        refused.reason = "class";
        co_return refused;
    }
    if (!is_bounded(message)) {
        refused.reason = "malformed";
        co_return refused;
    }
    message.service = *service;
    if (*service == ipc::Service::submission) message.session.reset();
    const auto mechanism = smtp::find_mechanism(message.mechanism);
    if (!mechanism) {
        refused.reason = "mechanism";
        co_return refused;
    }
    Exchange exchange{std::move(message), smtp::SaslExchange(*mechanism)};
    std::optional<std::string_view> initial;
    if (exchange.start.has_initial) initial = exchange.start.initial;
    const auto state = exchange.sasl.start(initial);
    wipe(exchange.start.initial);
    auto answer = co_await progress(std::move(exchange), state);
    co_return answer;
}

task<ipc::SaslAnswer> Peer::sasl_continue(ipc::SaslContinue message) {
    ipc::SaslAnswer refused;
    refused.state = ipc::SaslState::refused;
    refused.reason = "sequence";
    auto found = exchanges_.extract(message.exchange);
    if (found.empty()) co_return refused;
    Exchange exchange = std::move(found.mapped());
    const auto state = exchange.sasl.answer(message.data);
    auto answer = co_await progress(std::move(exchange), state);
    co_return answer;
}

void Peer::sasl_abort(ipc::SaslAbort message) {
    exchanges_.erase(message.exchange);
}

task<ipc::SaslAnswer> Peer::progress(Exchange exchange, smtp::SaslExchange::State state) {
    using State = smtp::SaslExchange::State;
    ipc::SaslAnswer answer;
    if (state == State::complete) {
        auto finished = co_await finish(std::move(exchange));
        co_return finished;
    }
    if (state == State::malformed || exchanges_.size() >= kExchangesMax) {
        answer.state = ipc::SaslState::refused;
        answer.reason = "malformed";
        co_return answer;
    }
    answer.state = ipc::SaslState::challenge;
    answer.exchange = ++last_exchange_;
    answer.data = exchange.sasl.challenge();
    exchanges_.emplace(answer.exchange, std::move(exchange));
    co_return answer;
}

// Counted in any case. Whoever is not heard any more is told nothing about the password.
task<ipc::SaslAnswer> Peer::refuse(Exchange exchange, Claim claim, std::string reason) {
    const ipc::SaslStart& start = exchange.start;
    const bool heard = service_.throttle().may_authenticate(start.client_ip, claim.key);
    const int64_t delay_ms = service_.throttle().failed(start.client_ip, claim.key);
    // The address stands before anything the client chose (fail2ban).
    log::Event("auth.failed", log::Level::notice)
        .sid(start.sid)
        .with("ip", start.client_ip)
        .with("mechanism", start.mechanism)
        .with("tls", start.tls)
        .with("reason", reason)
        .with("user", claim.user);
    if (!heard) co_return throttled(start, claim);
    if (delay_ms > 0) co_await sleep_ms(service_.nursery(), delay_ms);
    ipc::SaslAnswer answer;
    answer.state = ipc::SaslState::refused;
    answer.reason = std::move(reason);
    co_return answer;
}

ipc::SaslAnswer Peer::throttled(const ipc::SaslStart& start, const Claim& claim) {
    log::Event("auth.throttled", log::Level::notice)
        .sid(start.sid)
        .with("ip", start.client_ip)
        .with("user", claim.user);
    return unavailable("throttled");
}

task<ipc::SaslAnswer> Peer::finish(Exchange exchange) {
    const smtp::Credentials& credentials = exchange.sasl.credentials();
    Claim claim{credentials.authentication, {}};
    if (const auto address = smtp::parse_address(claim.user)) claim.key = address->key();
    const ipc::SaslStart& start = exchange.start;
    Throttle& throttle = service_.throttle();
    if (!throttle.may_authenticate(start.client_ip, claim.key)) co_return throttled(start, claim);
    const bool acts_as_other =
        !credentials.authorization.empty() && credentials.authorization != claim.user;
    std::string password = credentials.password;
    std::string name = claim.user;
    const auto service = start.service;
    auto checked = co_await service_.check_password(std::move(name), std::move(password), service);
    if (checked.busy) co_return unavailable("busy");
    if (checked.ok && acts_as_other) {
        checked.ok = false;
        checked.reason = "authorization";
    }
    if (!checked.ok) {
        std::string reason = checked.reason;
        auto refused = co_await refuse(std::move(exchange), std::move(claim), std::move(reason));
        co_return refused;
    }
    // Guesses that ran beside this one may have used up what the network has: then the right one
    // must not be told from the others.
    if (!throttle.may_authenticate(start.client_ip, claim.key)) co_return throttled(start, claim);
    throttle.succeeded(start.client_ip, claim.key);
    Account account = std::move(checked.account);
    auto answer = co_await attach(std::move(exchange), std::move(account));
    co_return answer;
}

// ---- sessions

void Peer::session_ended(ipc::SessionEnded message) {
    close_session(message.sid);
}

bool Peer::open_session(const ipc::SaslStart& start, const Account& account) {
    close_session(start.sid);
    if (sessions_.size() < kSessionsMax &&
        service_.throttle().open_session(account.id, start.client_ip)) {
        sessions_[start.sid] = Session{account.id, start.client_ip};
        return true;
    }
    log::Event("auth.too_many_sessions", log::Level::notice)
        .sid(start.sid)
        .with("ip", start.client_ip)
        .with("user", account.address);
    return false;
}

void Peer::close_session(const std::string& sid) {
    const auto found = sessions_.find(sid);
    if (found == sessions_.end()) return;
    service_.throttle().close_session(found->second.account, found->second.client_ip);
    sessions_.erase(found);
}

ipc::AttachSession Peer::session_of(ipc::SaslStart& start, const Account& account) {
    const ipc::AccountFacts facts = service_.account_facts(account.id);
    ipc::AttachSession session;
    session.account = account.id;
    session.address = account.address;
    session.service = start.service;
    session.client = std::move(start.session);
    session.sid = start.sid;
    session.client_ip = start.client_ip;
    session.session_hint = start.session_hint;
    session.quota_bytes = facts.quota_bytes;
    session.quota_messages = facts.quota_messages;
    return session;
}

// For imapd and pop3d the session's end goes to the keeper from here: a network daemon cannot claim
// an account that it has no password for.
task<ipc::SaslAnswer> Peer::attach(Exchange exchange, Account account) {
    ipc::SaslStart& start = exchange.start;
    ipc::SaslAnswer answer;
    answer.login = account.address;
    Login login;
    login.account = account.id;
    login.address = account.address;
    login.client_ip = start.client_ip;
    answer.token = service_.token_for(std::move(login));
    if (start.session.valid()) {
        if (!open_session(start, account)) {
            answer.state = ipc::SaslState::unavailable;
            answer.reason = "sessions";
            co_return answer;
        }
        ipc::AttachSession attach = session_of(start, account);
        bool attached = false;
        const std::string token = std::exchange(answer.token, "");
        try {
            auto attached_answer = co_await service_.keeper().call(std::move(attach));
            attached = attached_answer.attached;
            answer.reason = attached_answer.reason.substr(0, kTextMax);
        } catch (const ipc::PeerLost&) {
            answer.reason = "keeper";
        }
        // The right may have ended meanwhile, and the keeper may have been told so before it had
        // the session (RULES.md A3).
        if (attached && !service_.is_good(token)) {
            service_.end_sessions(account.id);
            attached = false;
            answer.reason = "changed";
        }
        if (!attached) {
            close_session(start.sid);
            answer.state = ipc::SaslState::unavailable;
            co_return answer;
        }
        answer.token = token;
    }
    answer.state = ipc::SaslState::accepted;
    log::Event("auth.accepted")
        .sid(start.sid)
        .with("ip", start.client_ip)
        .with("mechanism", start.mechanism)
        .with("tls", start.tls)
        .with("user", account.address);
    co_return answer;
}

} // namespace tambo::authd

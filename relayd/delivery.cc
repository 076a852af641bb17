// See delivery.h.
#include "relayd/delivery.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/net/connect.h"
#include "common/sys/error.h"
#include "common/sys/log.h"

#include <system_error>

namespace tambo::relayd {

namespace {

std::string_view outcome_event(ipc::RelayOutcome outcome) {
    switch (outcome) {
    case ipc::RelayOutcome::sent:
        return "relay.sent";
    case ipc::RelayOutcome::deferred:
        return "relay.deferred";
    case ipc::RelayOutcome::refused:
        return "relay.refused";
    }
    return "relay.deferred";
}

} // namespace

Delivery::Delivery(World world, ipc::Relay job)
    : world_(world), job_(std::move(job)),
      mail_{job_, std::nullopt, {}, Content(job_.prefix, job_.body.get(), job_.body_bytes), {}},
      results_(job_) {}

task<ipc::RelayDone> Delivery::run() {
    read_envelope();
    if (!results_.all_settled() && read_content()) {
        co_await try_idle();
        if (!results_.all_settled()) {
            auto route = co_await find_route();
            if (route.failure) results_.settle_open(*route.failure);
            co_await try_route(std::move(route));
        }
    }
    log_results();
    co_return done();
}

// queued has checked these addresses before; what does not parse has no way out.
void Delivery::read_envelope() {
    for (size_t i = 0; i < job_.recipients.size(); ++i) {
        auto address = smtp::parse_address(job_.recipients[i].second);
        if (!address || address->is_bare_postmaster()) {
            results_.settle_failed(i, Verdict::ours(553, "5.1.3", "malformed recipient address"));
        }
        mail_.recipients.push_back(address ? std::move(*address) : smtp::Address());
    }
    if (job_.reverse_path.empty()) return;
    auto sender = smtp::parse_address(job_.reverse_path);
    if (sender) {
        mail_.sender = std::move(*sender);
    } else {
        results_.settle_open(Verdict::ours(553, "5.1.7", "malformed sender address"));
    }
}

// False, and everything settled, if the message cannot leave.
bool Delivery::read_content() {
    try {
        mail_.facts = mail_.content.inspect();
    } catch (const BodyFault& e) {
        log::Event("relay.body_unreadable", log::Level::error)
            .qid(job_.qid)
            .with("reason", e.what());
        results_.settle_open(Verdict::ours(451, "4.3.0", "the message cannot be read"));
        return false;
    }
    if (mail_.facts.clean) return true;
    // RULES.md F2: it never gets a second chance to smuggle.
    results_.settle_open(
        Verdict::ours(554, "5.6.0", "the message has a bare CR, a bare LF or a NUL"));
    return false;
}

std::string Delivery::place() const {
    return world_.config.smarthost.host.empty() ? job_.destination : std::string("smarthost");
}

uint16_t Delivery::port() const {
    const auto& smarthost = world_.config.smarthost;
    return smarthost.host.empty() ? world_.config.port : smarthost.port;
}

SessionPolicy Delivery::policy() const {
    const auto& smarthost = world_.config.smarthost;
    SessionPolicy policy;
    policy.hostname = world_.config.hostname;
    if (!smarthost.host.empty()) {
        policy.tls = smarthost.tls;
        policy.implicit_tls = smarthost.implicit_tls;
        policy.user = smarthost.user;
        policy.password = smarthost.password;
    }
    if (job_.parameters.require_tls) policy.tls = conf::TlsDemand::verify;
    return policy;
}

task<Route> Delivery::find_route() {
    const Router::World around{world_.names, world_.ourselves, world_.random, world_.clock};
    Router router(around, port());
    const auto& smarthost = world_.config.smarthost.host;
    Route route;
    if (smarthost.empty()) {
        route = co_await router.to_destination(job_.destination);
    } else {
        route = co_await router.to_host(smarthost);
    }
    co_return route;
}

// A connection that still stands from the message before. If it is of no use any more, nothing has
// been tried yet.
task<> Delivery::try_idle() {
    if (job_.parameters.require_tls) co_return;
    auto connection = world_.pool.take(place());
    if (!connection) co_return;
    try {
        log_connected(*connection, true);
        co_await transact(*connection);
    } catch (const Closed&) {
        connection->give_up();
    } catch (const TimedOut&) {
        connection->give_up();
    } catch (const net::TlsError&) {
        connection->give_up();
    } catch (const ProtocolError&) {
        connection->give_up();
    } catch (const std::system_error&) {
        connection->give_up();
    } catch (const BodyFault& e) {
        connection->give_up();
        results_.settle_open(Verdict::ours(451, "4.3.0", e.what()));
    }
    world_.pool.put(place(), std::move(connection));
}

task<> Delivery::try_route(Route route) {
    const size_t count = std::min(route.hops.size(), limits::relay_addresses_per_try);
    for (size_t i = 0; i < count && !results_.all_settled(); ++i) {
        const Hop& hop = route.hops[i];
        tls_failed_ = false;
        co_await try_hop(hop, true);
        // RFC 7435: opportunistic TLS that fails is no reason not to deliver.
        if (tls_failed_) co_await try_hop(hop, false);
        if (sessions_ >= limits::relay_sessions_per_try) break;
    }
    if (results_.all_settled()) co_return;
    auto verdict = last_failure_.value_or(Verdict::ours(451, "4.4.1", "no server was reached"));
    verdict.permanent = verdict.permanent && all_permanent_;
    results_.settle_open(verdict);
}

// Those who are not settled afterwards may be tried elsewhere.
task<> Delivery::try_hop(Hop hop, bool starttls) {
    std::unique_ptr<Connection> connection;
    std::string problem;
    try {
        co_await open_and_transact(connection, hop, starttls);
    } catch (const Closed&) {
        problem = "connection closed";
    } catch (const TimedOut&) {
        problem = "timed out";
    } catch (const net::TlsError& e) {
        problem = e.what();
    } catch (const ProtocolError& e) {
        problem = e.what();
    } catch (const BodyFault& e) {
        if (connection) connection->give_up();
        results_.settle_open(Verdict::ours(451, "4.3.0", e.what()));
    } catch (const std::system_error& e) {
        problem = error_text(e.code().value());
    }
    if (problem.empty()) {
        if (connection) world_.pool.put(place(), std::move(connection));
        co_return;
    }
    if (connection) {
        failed(hop, Verdict::ours(451, "4.4.2",
                                  cat(hop.text(), ": ", problem, " while waiting for ",
                                      connection->stage())));
    } else {
        failed(hop, Verdict::ours(451, "4.4.1", cat(hop.text(), ": ", problem)));
    }
}

task<>
Delivery::open_and_transact(std::unique_ptr<Connection>& connection, Hop hop, bool starttls) {
    host_ = hop.host;
    address_ = hop.address.ip();
    tls_.clear();
    auto socket = co_await net::connect_to(world_.nursery, hop.address, world_.timeouts.connect_ms);
    connection =
        std::make_unique<Connection>(world_.nursery, std::move(socket), hop, world_.timeouts);
    auto wanted = policy();
    wanted.starttls = starttls;
    const auto opened = co_await connection->open(wanted, world_.contexts);
    if (opened != Connection::Opened::ready) {
        tls_failed_ = opened == Connection::Opened::tls_failed;
        failed(hop, connection->failure());
        co_return;
    }
    ++sessions_;
    log_connected(*connection, false);
    co_await transact(*connection);
    if (!results_.all_settled()) failed(hop, connection->failure()); // 421
}

task<> Delivery::transact(Connection& connection) {
    host_ = connection.hop().host;
    address_ = connection.hop().address.ip();
    tls_ = connection.tls_version();
    Transaction transaction(connection, mail_, results_);
    co_await transaction.run();
}

void Delivery::failed(const Hop& hop, const Verdict& verdict) {
    all_permanent_ = all_permanent_ && verdict.permanent;
    last_failure_ = verdict;
    log::Event("relay.attempt_failed")
        .qid(job_.qid)
        .sid(job_.sid)
        .with("host", hop.host)
        .with("ip", hop.address.ip())
        .with("code", verdict.status.code)
        .with("reason", verdict.status.text);
}

void Delivery::log_connected(const Connection& connection, bool idle) const {
    const auto tls = connection.tls_info();
    log::Event event("relay.connected");
    event.qid(job_.qid).sid(job_.sid).with("host", connection.hop().host);
    event.with("ip", connection.hop().address.ip()).with("port", connection.hop().address.port());
    event.with("tls", tls.version).with("cipher", tls.cipher);
    if (!tls.version.empty()) event.with("verified", tls.peer_verified ? "yes" : "no");
    if (idle) event.with("reused", "yes");
}

void Delivery::log_results() const {
    for (size_t i = 0; i < results_.size(); ++i) {
        const auto& result = results_.list()[i];
        log::Event(outcome_event(result.outcome))
            .qid(job_.qid)
            .sid(job_.sid)
            .rcpt(job_.recipients[i].second)
            .with("destination", job_.destination)
            .with("host", host_)
            .with("ip", address_)
            .with("tls", tls_)
            .with("attempt", job_.attempt)
            .with("code", result.status.code)
            .with("enhanced", result.status.enhanced)
            .with("reply", result.status.text);
    }
}

ipc::RelayDone Delivery::done() const {
    ipc::RelayDone done;
    done.results = results_.list();
    done.host = host_;
    done.address = address_;
    done.tls = tls_;
    return done;
}

} // namespace tambo::relayd

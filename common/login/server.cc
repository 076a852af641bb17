#include "common/login/server.h"

#include "common/login/dialogue.h"
#include "common/login/relay.h"
#include "common/sys/log.h"

#include <sys/socket.h>

#include <algorithm>

namespace tambo::login {

namespace {
constexpr int64_t kLastWordsMs = 1000; // after the grace time
constexpr int64_t kDrainStepMs = 50;
} // namespace

Server::Server(Service& service)
    : service_(service),
      generation_(
          service.nursery.loop(), [](void* self) { static_cast<Server*>(self)->retire(); }, this) {
    service_.on_connection_ended = [this] { connection_ended(); };
}

bool Server::listen(const std::string& name, UniqueFd socket) {
    const Protocol& protocol = service_.protocol;
    if (name != protocol.clear_door && name != protocol.tls_door) return false;
    const Door door = name == protocol.tls_door ? Door::tls : Door::clear;
    listeners_.push_back(std::make_unique<net::Listener>(
        service_.nursery.loop(), std::move(socket),
        [this, door](UniqueFd connection, const net::SocketAddress& peer) {
            accept(std::move(connection), peer, door);
        }));
    return true;
}

void Server::accept(UniqueFd socket, const net::SocketAddress& peer, Door door) {
    if (service_.connections.size() >= static_cast<size_t>(service_.config.sessions_max)) {
        const std::string_view full = service_.protocol.full;
        if (door == Door::clear) {
            static_cast<void>(
                ::send(socket.get(), full.data(), full.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
        }
        log::Event("login.too_many_connections", log::Level::warning).with("ip", peer.ip());
        return;
    }
    // The generation begins with its first connection: until then there is nothing to protect.
    if (++accepted_ == 1) generation_.arm(service_.config.generation_ms);
    service_.nursery.spawn(
        serve(std::make_unique<Connection>(service_, std::move(socket), peer, door)));
    if (accepting_ && accepted_ >= service_.config.generation_connections) retire();
}

task<> Server::serve(std::unique_ptr<Connection> connection) {
    UniqueFd session;
    try {
        const auto dialogue = connection->service.protocol.dialogue(*connection);
        session = co_await dialogue->run();
    } catch (const TimedOut&) {
        connection->ended_why = "timeout";
    } catch (const net::TlsError& e) {
        connection->ended_why = "tls";
        log::Event("login.tls_failed", log::Level::notice)
            .sid(connection->sid)
            .with("ip", connection->peer.ip())
            .with("error", e.what());
    }
    if (session.valid()) {
        Relay::start(std::move(connection), std::move(session));
        co_return;
    }
    const std::string& why = connection->ended_why;
    const bool is_late = why == "timeout";
    const std::string_view last_words = is_late ? connection->service.protocol.timeout : "";
    if (is_late && last_words.empty()) co_return;
    const bool spoke = why != "tls" && !(why == "limit" && connection->door == Door::tls);
    if (!spoke) co_return;
    // The client may close first, so that nothing of the last words is lost.
    connection->io.set_deadline(Loop::monotonic_ms() + connection->service.pace.linger_ms);
    if (!last_words.empty()) {
        connection->io.put(last_words);
        co_await connection->io.flush();
        connection->io.finish();
    }
    for (;;) {
        co_await connection->io.read_some(1024);
    }
}

void Server::close_listeners() {
    accepting_ = false;
    generation_.disarm();
    for (auto& listener : listeners_)
        listener->close();
}

void Server::retire() {
    if (!accepting_) return;
    close_listeners();
    const auto left = static_cast<uint32_t>(service_.connections.size());
    log::Event("login.retired").with("connections", static_cast<int64_t>(left));
    if (on_retired) on_retired(left);
    connection_ended();
}

void Server::connection_ended() {
    if (!accepting_ && service_.connections.empty() && on_finished) on_finished();
}

void Server::drain(int64_t grace_ms) {
    close_listeners();
    service_.nursery.spawn(cut_off(grace_ms));
    connection_ended();
}

task<> Server::cut_off(int64_t grace_ms) {
    const int64_t start_ms = Loop::monotonic_ms(), step_ms = std::min(grace_ms, kDrainStepMs);
    int64_t spent_ms = 0;
    while (spent_ms < grace_ms) {
        end_sessions(std::max(kDrainStepMs, service_.pace.quiet_ms - spent_ms / 2));
        co_await sleep_ms(service_.nursery, step_ms);
        spent_ms = Loop::monotonic_ms() - start_ms;
    }
    end_sessions(-1);
    co_await sleep_ms(service_.nursery, kLastWordsMs);
    if (on_finished) on_finished();
}

// quiet_ms negative: all of them.
void Server::end_sessions(int64_t quiet_ms) {
    const int64_t now_ms = Loop::monotonic_ms();
    for (const Connection* connection : service_.connections) {
        const auto since_ms = connection->quiet_since_ms;
        const bool ends = quiet_ms < 0 || (since_ms && now_ms - *since_ms >= quiet_ms);
        if (ends && connection->session_fd >= 0) ::shutdown(connection->session_fd, SHUT_RDWR);
    }
}

} // namespace tambo::login

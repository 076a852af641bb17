#include "pop3d/server.h"

#include "common/sys/log.h"
#include "pop3d/prelogin.h"
#include "pop3d/relay.h"

#include <sys/socket.h>

namespace tambo::pop3d {

namespace {
constexpr int64_t kLastWordsMs = 1000; // after the grace time
} // namespace

Server::Server(Service& service)
    : service_(service),
      generation_(
          service.nursery.loop(), [](void* self) { static_cast<Server*>(self)->retire(); }, this) {
    service_.on_connection_ended = [this] { connection_ended(); };
}

bool Server::listen(const std::string& name, UniqueFd socket) {
    if (name != "pop3" && name != "pop3s") return false;
    const Door door = name == "pop3s" ? Door::pop3s : Door::pop3;
    listeners_.push_back(std::make_unique<net::Listener>(
        service_.nursery.loop(), std::move(socket),
        [this, door](UniqueFd connection, const net::SocketAddress& peer) {
            accept(std::move(connection), peer, door);
        }));
    return true;
}

void Server::accept(UniqueFd socket, const net::SocketAddress& peer, Door door) {
    if (service_.connections.size() >= static_cast<size_t>(service_.config.sessions_max)) {
        constexpr std::string_view kFull = "-ERR [SYS/TEMP] too many connections\r\n";
        if (door == Door::pop3) {
            static_cast<void>(
                ::send(socket.get(), kFull.data(), kFull.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
        }
        log::Event("pop3.too_many_connections", log::Level::warning).with("ip", peer.ip());
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
        Prelogin prelogin(*connection);
        session = co_await prelogin.run();
    } catch (const TimedOut&) { // without a word: RFC 1939 3
        connection->ended_why = "timeout";
        co_return;
    } catch (const net::TlsError& e) {
        connection->ended_why = "tls";
        log::Event("pop3.tls_failed", log::Level::notice)
            .sid(connection->sid)
            .with("ip", connection->peer.ip())
            .with("error", e.what());
        co_return;
    }
    if (session.valid()) {
        Relay::start(std::move(connection), std::move(session));
        co_return;
    }
    // The client may close first, so that nothing of the last words is lost.
    connection->io.set_deadline(Loop::monotonic_ms() + connection->service.pace.linger_ms);
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
    log::Event("pop3.retired").with("connections", static_cast<int64_t>(left));
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
    co_await sleep_ms(service_.nursery, grace_ms);
    for (const Connection* connection : service_.connections) {
        if (connection->session_fd >= 0) ::shutdown(connection->session_fd, SHUT_RDWR);
    }
    co_await sleep_ms(service_.nursery, kLastWordsMs);
    if (on_finished) on_finished();
}

} // namespace tambo::pop3d

#include "imapd/server.h"

#include "common/base/text.h"
#include "common/sys/log.h"
#include "imapd/prelogin.h"
#include "imapd/relay.h"

#include <sys/socket.h>

namespace tambo::imapd {

namespace {
constexpr int64_t kByeMs = 1000; // for the last words after the grace time
} // namespace

Server::Server(Service& service)
    : service_(service),
      generation_(
          service.nursery.loop(), [](void* self) { static_cast<Server*>(self)->retire(); }, this) {
    service_.on_connection_ended = [this] { connection_ended(); };
}

bool Server::listen(const std::string& name, UniqueFd socket) {
    if (name != "imap" && name != "imaps") return false;
    const Door door = name == "imaps" ? Door::imaps : Door::imap;
    listeners_.push_back(std::make_unique<net::Listener>(
        service_.nursery.loop(), std::move(socket),
        [this, door](UniqueFd connection, const net::SocketAddress& peer) {
            accept(std::move(connection), peer, door);
        }));
    return true;
}

void Server::accept(UniqueFd socket, const net::SocketAddress& peer, Door door) {
    if (service_.connections.size() >= static_cast<size_t>(service_.config.sessions_max)) {
        constexpr std::string_view kFull = "* BYE [UNAVAILABLE] Too many connections\r\n";
        if (door == Door::imap) {
            static_cast<void>(
                ::send(socket.get(), kFull.data(), kFull.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
        }
        log::Event("imap.too_many_connections", log::Level::warning).with("ip", peer.ip());
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
    std::string bye;
    try {
        Prelogin prelogin(*connection);
        session = co_await prelogin.run();
    } catch (const TimedOut&) {
        connection->ended_why = "timeout";
        bye = "timeout";
    } catch (const net::TlsError& e) {
        connection->ended_why = "tls";
        log::Event("imap.tls_failed", log::Level::notice)
            .sid(connection->sid)
            .with("ip", connection->peer.ip())
            .with("error", e.what());
    }
    if (session.valid()) {
        Relay::start(std::move(connection), std::move(session));
        co_return;
    }
    const std::string& why = connection->ended_why;
    const bool spoke = why != "tls" && !(why == "limit" && connection->door == Door::imaps);
    if (!spoke) co_return;
    // The client may close first, so that nothing of the last words is lost.
    connection->io.set_deadline(Loop::monotonic_ms() + connection->service.pace.linger_ms);
    if (!bye.empty()) co_await connection->say_bye(std::move(bye));
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
    log::Event("imap.retired").with("connections", static_cast<int64_t>(left));
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
    co_await sleep_ms(service_.nursery, kByeMs);
    if (on_finished) on_finished();
}

} // namespace tambo::imapd

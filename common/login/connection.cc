#include "common/login/connection.h"

#include "common/ipc/messages/authd.h"
#include "common/sys/log.h"

namespace tambo::login {

Connection::Connection(Service& s, UniqueFd socket, const net::SocketAddress& from, Door through)
    : service(s), io(s.nursery, std::move(socket), s.pace.silence_ms), peer(from), door(through),
      sid(Id{s.random.u64(), s.random.u64()}.text()), started_ms_(Loop::monotonic_ms()) {
    service.connections.insert(this);
    if (service.protocol.has_literals) io.set_quick_ack();
    log::Event("login.connected")
        .sid(sid)
        .with("ip", peer.ip())
        .with("port", peer.port())
        .with("door", door == Door::tls ? service.protocol.tls_door : service.protocol.clear_door);
}

Connection::~Connection() {
    service.connections.erase(this);
    if (counted) service.authd.send(ipc::ConnectionClosed{service.protocol.service, peer.ip()});
    if (session_asked) service.authd.send(ipc::SessionEnded{sid});
    log::Event("login.disconnected")
        .sid(sid)
        .with("ip", peer.ip())
        .with("why", ended_why)
        .with("login", login)
        .with("in", static_cast<int64_t>(bytes_in))
        .with("out", static_cast<int64_t>(bytes_out))
        .with("ms", Loop::monotonic_ms() - started_ms_);
    if (service.on_connection_ended) service.on_connection_ended();
}

} // namespace tambo::login

#include "common/base/text.h"
#include "common/ipc/messages/authd.h"
#include "common/sys/log.h"
#include "imapd/service.h"

namespace tambo::imapd {

Connection::Connection(Service& s, UniqueFd socket, const net::SocketAddress& from, Door through)
    : service(s), io(s.nursery, std::move(socket), s.pace.silence_ms), peer(from), door(through),
      sid(Id{s.random.u64(), s.random.u64()}.text()), started_ms_(Loop::monotonic_ms()) {
    service.connections.insert(this);
    io.set_quick_ack(); // many clients send the line end behind a literal by itself
    log::Event("imap.connected")
        .sid(sid)
        .with("ip", peer.ip())
        .with("port", peer.port())
        .with("door", door == Door::imaps ? "imaps" : "imap");
}

Connection::~Connection() {
    service.connections.erase(this);
    if (counted) service.authd.send(ipc::ConnectionClosed{ipc::Service::imap, peer.ip()});
    if (session_asked) service.authd.send(ipc::SessionEnded{sid});
    log::Event("imap.disconnected")
        .sid(sid)
        .with("ip", peer.ip())
        .with("why", ended_why)
        .with("login", login)
        .with("in", static_cast<int64_t>(bytes_in))
        .with("out", static_cast<int64_t>(bytes_out))
        .with("ms", Loop::monotonic_ms() - started_ms_);
    if (service.on_connection_ended) service.on_connection_ended();
}

task<> Connection::say_bye(std::string text) {
    io.put(cat("* BYE ", text, "\r\n"));
    co_await io.flush();
    io.finish();
}

} // namespace tambo::imapd

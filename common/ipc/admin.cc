#include "common/ipc/admin.h"

#include "common/base/limits.h"
#include "common/sys/error.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sysexits.h>

#include <cerrno>
#include <cstring>

namespace tambo::ipc {

namespace {
constexpr size_t kConnectionsMax = 64;
constexpr size_t kAnswerBytesMax = limits::ipc_message_bytes - kHeaderBytes;

// Who asks chooses words that errors repeat: that is no reason to end.
AdminAnswer too_long() {
    AdminAnswer answer;
    answer.exit_code = EX_SOFTWARE;
    answer.error = "the answer is too long";
    return answer;
}
} // namespace

struct AdminServer::Connection {
    AdminServer& server;
    Asker asker;
    Channel channel;

    Connection(AdminServer& s, Asker a, UniqueFd socket)
        : server(s), asker(a), channel(s.nursery_, "command") {
        channel.may_hang_up = true;
        channel.on<AdminRequest>(*this, &Connection::ask);
        channel.attach(std::move(socket));
    }
    task<AdminAnswer> ask(AdminRequest request) {
        auto reply = co_await server.answer(std::move(request), asker);
        if (encode(reply).size() > kAnswerBytesMax) reply = too_long();
        co_return reply;
    }
};

AdminServer::AdminServer(Nursery& nursery, UniqueFd listener)
    : nursery_(nursery), listener_(std::move(listener)),
      watch_(nursery.loop(), listener_.get(),
             [](void* self, unsigned) { static_cast<AdminServer*>(self)->accept_all(); }, this) {
    if (!listener_.valid()) return;
    set_nonblocking(listener_.get());
    watch_.arm_read(0);
}

AdminServer::~AdminServer() = default;

void AdminServer::on(const std::string& verb, Handler handler) {
    handlers_.emplace_back(verb, std::move(handler));
}

void AdminServer::accept_all() {
    reap();
    for (;;) {
        UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!socket.valid()) return;
        ucred credentials{};
        socklen_t size = sizeof credentials;
        if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) continue;
        if (connections_.size() >= kConnectionsMax) continue; // closed at once
        connections_.push_back(std::make_unique<Connection>(
            *this, Asker{credentials.uid, credentials.gid}, std::move(socket)));
    }
}

void AdminServer::reap() {
    std::erase_if(connections_,
                  [](const auto& c) { return !c->channel.connected() && c->channel.idle(); });
}

task<AdminAnswer> AdminServer::answer(AdminRequest request, Asker asker) {
    for (auto& [verb, handler] : handlers_) {
        if (verb != request.verb) continue;
        auto reply = co_await handler(std::move(request), asker);
        co_return reply;
    }
    AdminAnswer unknown;
    unknown.exit_code = EX_USAGE;
    unknown.error = cat("unknown verb ", escape(request.verb), "; known:");
    for (const auto& [verb, handler] : handlers_) unknown.error += cat(' ', verb);
    co_return unknown;
}

std::optional<AdminAnswer> ask_daemon(const std::string& socket_path, AdminRequest request) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket_path.size() >= sizeof address.sun_path) return std::nullopt;
    std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!socket.valid()) throw_errno("socket");
    const auto* raw = reinterpret_cast<const sockaddr*>(&address);
    if (::connect(socket.get(), raw, sizeof address) != 0) {
        if (errno == EACCES || errno == EPERM) throw_errno("connect " + socket_path);
        return std::nullopt;
    }
    std::optional<AdminAnswer> whole;
    for (uint64_t id = 1;; ++id) {
        Writer writer;
        writer(request);
        const FrameHeader header{AdminRequest::kType, FrameHeader::request,
                                 static_cast<uint32_t>(writer.bytes().size()), id};
        send_datagram(socket.get(), encode_header(header), writer.bytes(), {});
        Datagram datagram;
        const auto status =
            receive_datagram(socket.get(), limits::ipc_message_bytes, 0, datagram);
        if (status != ReceiveStatus::received || !decode_header(datagram.bytes)) return std::nullopt;
        auto page =
            decode<AdminAnswer>(std::string_view(datagram.bytes).substr(kHeaderBytes));
        if (!page) return std::nullopt;
        request.cursor = page->next;
        if (!whole) {
            whole = std::move(page);
        } else {
            for (auto& row : page->rows) whole->rows.push_back(std::move(row));
        }
        if (request.cursor.empty()) return whole;
    }
}

} // namespace tambo::ipc

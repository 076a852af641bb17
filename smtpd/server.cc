#include "smtpd/server.h"

#include "common/smtp/reply_texts.h"
#include "common/sys/file.h"
#include "common/sys/log.h"

#include <sys/socket.h>

#include <array>
#include <utility>

namespace tambo::smtpd {

namespace {

constexpr int64_t kDrainStepMs = 50;

constexpr std::array<std::pair<std::string_view, Door>, 3> kDoors{{
    {"smtp", Door::smtp},
    {"submission", Door::submission},
    {"submissions", Door::submissions},
}};

} // namespace

Role role_of(std::string_view instance) {
    return instance.starts_with("mx.") ? Role::mx : Role::submission;
}

Arrival local_arrival(const ipc::LocalArrival& message) {
    Arrival arrival;
    arrival.door = Door::local;
    arrival.uid = message.uid;
    arrival.token = message.token;
    arrival.login = message.address;
    return arrival;
}

Server::Server(Service& service) : service_(service) {
    if (!service.is_mx()) service.authd.on<ipc::LocalArrival>(*this, &Server::take_local);
}

bool Server::listen(const std::string& name, UniqueFd socket) {
    for (const auto& [known, door] : kDoors) {
        if (name != known) continue;
        // The role is master's word: a door of the other role stays shut.
        if ((door == Door::smtp) != service_.is_mx()) return false;
        const Door opened = door;
        listeners_.push_back(std::make_unique<net::Listener>(
            service_.nursery.loop(), std::move(socket),
            [this, opened](UniqueFd connection, const net::SocketAddress& peer) {
                Arrival arrival;
                arrival.door = opened;
                arrival.peer = peer;
                accept(std::move(connection), std::move(arrival));
            }));
        return true;
    }
    return false;
}

void Server::accept(UniqueFd socket, Arrival arrival) {
    if (service_.sessions.size() >= static_cast<size_t>(service_.config.sessions_max)) {
        const std::string wire = smtp::Reply(smtp::replies::too_many_connections).wire();
        static_cast<void>(
            ::send(socket.get(), wire.data(), wire.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
        log::Event("smtp.too_many_sessions", log::Level::warning).with("ip", arrival.peer.ip());
        return;
    }
    serve(std::move(socket), std::move(arrival));
}

task<ipc::LocalTaken> Server::take_local(ipc::LocalArrival message) {
    if (!message.drop_name.empty()) {
        if (on_drop) on_drop(std::move(message));
    } else if (message.descriptor.valid()) {
        set_nonblocking(message.descriptor.get());
        accept(std::move(message.descriptor), local_arrival(message));
    }
    co_return ipc::LocalTaken{};
}

void Server::serve(UniqueFd socket, Arrival arrival) {
    service_.nursery.spawn(Session::serve(service_, std::move(socket), std::move(arrival)));
}

void Server::drain(int64_t grace_ms, std::function<void()> done) {
    for (auto& listener : listeners_)
        listener->close();
    service_.draining = true;
    service_.nursery.spawn(wait_for_sessions(grace_ms, std::move(done)));
}

task<> Server::wait_for_sessions(int64_t grace_ms, std::function<void()> done) {
    const int64_t end_ms = Loop::monotonic_ms() + grace_ms;
    while (!service_.sessions.empty() && Loop::monotonic_ms() < end_ms) {
        service_.leaving = end_ms - Loop::monotonic_ms() <= service_.pace.farewell_ms;
        for (Session* session : service_.sessions)
            session->wake();
        co_await sleep_ms(service_.nursery, kDrainStepMs);
    }
    done();
}

} // namespace tambo::smtpd

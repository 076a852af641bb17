#include "authd/local_door.h"

#include "common/sys/log.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>

namespace tambo::authd {

namespace {

// Connections that submit has not taken yet. While there are as many, others wait in the kernel, so
// that programs of the host cannot use up authd's descriptors.
constexpr size_t kPassingMax = 32;
constexpr int64_t kForEver = 0;

std::optional<uint32_t> peer_uid(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
    return peer.uid;
}

} // namespace

LocalDoor::LocalDoor(Nursery& nursery, LoginOf login)
    : nursery_(nursery), login_(std::move(login)) {}

void LocalDoor::listen(UniqueFd socket) {
    if (!socket.valid()) return;
    listener_ = std::make_unique<net::Listener>(
        nursery_.loop(), std::move(socket),
        [this](UniqueFd connection, const net::SocketAddress&) { accept(std::move(connection)); });
    if (submits_.empty()) listener_->pause();
}

void LocalDoor::add(ipc::Channel& submit) {
    submits_.push_back(&submit);
    if (listener_ && passing_ < kPassingMax) listener_->resume();
}

void LocalDoor::remove(ipc::Channel& submit) {
    std::erase(submits_, &submit);
    if (listener_ && submits_.empty()) listener_->pause();
}

ipc::Channel* LocalDoor::next() {
    for (size_t i = 0; i < submits_.size(); ++i) {
        ipc::Channel* submit = submits_[turn_++ % submits_.size()];
        if (submit->connected()) return submit;
    }
    return submits_.empty() ? nullptr : submits_.front();
}

void LocalDoor::accept(UniqueFd socket) {
    // Of the accepted socket itself: nobody but the kernel has a say in it.
    const auto uid = peer_uid(socket.get());
    if (!uid) return;
    auto arrival = login_(*uid);
    arrival.descriptor = std::move(socket);
    nursery_.spawn(pass(std::move(arrival)));
}

bool LocalDoor::pass_file(const std::string& name, UniqueFd file) {
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return false;
    if (!S_ISREG(status.st_mode) || status.st_nlink != 1) return false;
    auto arrival = login_(status.st_uid);
    arrival.descriptor = std::move(file);
    arrival.drop_name = name;
    nursery_.spawn(pass(std::move(arrival)));
    return true;
}

// While submit is away the call waits for its successor. One that dies with the connection in its
// hand takes it along: the client has seen a part of that session.
task<> LocalDoor::pass(ipc::LocalArrival arrival) {
    struct Passing {
        LocalDoor& door;
        ~Passing() {
            --door.passing_;
            if (door.listener_ && !door.submits_.empty()) door.listener_->resume();
        }
    } const passing{*this};
    ++passing_;
    if (listener_ && passing_ >= kPassingMax) listener_->pause();
    ipc::Channel* submit = next();
    if (submit == nullptr) co_return;
    try {
        co_await submit->call(std::move(arrival), kForEver);
    } catch (const ipc::PeerLost& lost) {
        log::Event("auth.local_lost", log::Level::notice).with("why", lost.what());
    }
}

} // namespace tambo::authd

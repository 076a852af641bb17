#include "common/sys/fdpass.h"

#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/sys/error.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace tambo {

namespace {

constexpr size_t kFdsMax = 16;

// Where datagrams are received: most are short, and making room for the longest in a string would
// write zeros over all of it each time. From the heap, so that threads which receive nothing pay
// nothing (a thread's own array is zeroed when it starts); and of its pages only those are there
// that were written.
char* room() {
    static thread_local std::unique_ptr<char[]> the_room;
    if (!the_room) the_room.reset(new char[Batch::kBatch * limits::ipc_message_bytes]);
    return the_room.get();
}

void take_fds(msghdr& message, std::vector<UniqueFd>& fds) {
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            fds.emplace_back(fd);
        }
    }
}

} // namespace

SendStatus
send_datagram(int socket, std::string_view head, std::string_view body, std::span<const int> fds) {
    check(fds.size() <= kFdsMax, "too many descriptors in a datagram");
    iovec parts[2] = {{const_cast<char*>(head.data()), head.size()},
                      {const_cast<char*>(body.data()), body.size()}};
    alignas(cmsghdr) char control[CMSG_SPACE(kFdsMax * sizeof(int))] = {};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
        cmsghdr* c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
        std::memcpy(CMSG_DATA(c), fds.data(), fds.size() * sizeof(int));
    }
    for (;;) {
        if (::sendmsg(socket, &message, MSG_NOSIGNAL) >= 0) return SendStatus::sent;
        switch (errno) {
        case EINTR:
            continue;
        case EAGAIN:
        case ENOBUFS:
        case ETOOMANYREFS:
            return SendStatus::would_block;
        case EPIPE:
        case ECONNRESET:
        case ENOTCONN:
        case ECONNREFUSED:
            return SendStatus::closed;
        default:
            throw_errno("sendmsg");
        }
    }
}

ReceiveStatus receive_datagram(int socket, size_t max_bytes, size_t max_fds, Datagram& into) {
    check(max_bytes <= limits::ipc_message_bytes, "a datagram is longer than the longest");
    into.bytes.clear();
    into.fds.clear();
    iovec part{room(), max_bytes};
    alignas(cmsghdr) char control[CMSG_SPACE(kFdsMax * sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t n = 0;
    do {
        n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno == EAGAIN) return ReceiveStatus::would_block;
        if (errno == ECONNRESET) return ReceiveStatus::closed;
        throw_errno("recvmsg");
    }
    take_fds(message, into.fds);
    const bool truncated = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    if (n == 0 || truncated || into.fds.size() > max_fds) {
        into.fds.clear();
        return ReceiveStatus::closed;
    }
    into.bytes.assign(room(), static_cast<size_t>(n));
    return ReceiveStatus::received;
}

Batch receive_batch(int socket, size_t max_fds) {
    std::array<mmsghdr, Batch::kBatch> messages{};
    std::array<iovec, Batch::kBatch> parts;
    alignas(cmsghdr) char control[Batch::kBatch][CMSG_SPACE(kFdsMax * sizeof(int))];
    for (size_t i = 0; i < messages.size(); ++i) {
        parts[i] = {room() + i * limits::ipc_message_bytes, limits::ipc_message_bytes};
        msghdr& header = messages[i].msg_hdr;
        header.msg_iov = &parts[i];
        header.msg_iovlen = 1;
        header.msg_control = control[i];
        header.msg_controllen = sizeof control[i];
    }
    int n = 0;
    do {
        n = ::recvmmsg(socket, messages.data(), Batch::kBatch, MSG_CMSG_CLOEXEC | MSG_DONTWAIT,
                       nullptr);
    } while (n < 0 && errno == EINTR);
    Batch batch;
    if (n < 0 && errno != EAGAIN && errno != ECONNRESET) throw_errno("recvmmsg");
    batch.closed = n < 0 && errno == ECONNRESET;
    batch.full = n == static_cast<int>(Batch::kBatch);
    for (int i = 0; i < n; ++i) {
        mmsghdr& message = messages[static_cast<size_t>(i)];
        Datagram datagram;
        take_fds(message.msg_hdr, datagram.fds); // also of those behind a bad one: they are ours
        const bool truncated = (message.msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
        if (message.msg_len == 0 || truncated || datagram.fds.size() > max_fds) batch.closed = true;
        if (batch.closed) continue;
        datagram.bytes.assign(static_cast<const char*>(message.msg_hdr.msg_iov->iov_base),
                              message.msg_len);
        batch.datagrams.push_back(std::move(datagram));
    }
    return batch;
}

std::pair<UniqueFd, UniqueFd> socket_pair(int type) {
    int ends[2];
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) throw_errno("socketpair");
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

} // namespace tambo

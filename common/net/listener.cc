#include "common/net/listener.h"

#include "common/sys/file.h"
#include "common/sys/log.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace tambo::net {

namespace {
constexpr int kBatch = 32;
constexpr int64_t kRetryMs = 200;
} // namespace

Listener::Listener(Loop& loop, UniqueFd socket, OnAccept on_accept)
    : socket_(std::move(socket)), spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
      on_accept_(std::move(on_accept)),
      watch_(loop, socket_.get(),
             [](void* self, unsigned) { static_cast<Listener*>(self)->accept_some(); }, this),
      retry_(
          loop,
          [](void* self) {
              auto* listener = static_cast<Listener*>(self);
              if (!listener->paused_ && !listener->closed()) listener->watch_.arm_read(0);
          },
          this) {
    set_nonblocking(socket_.get());
    watch_.arm_read(0);
}

void Listener::pause() {
    paused_ = true;
    watch_.disarm_read();
}

void Listener::resume() {
    paused_ = false;
    if (!closed()) watch_.arm_read(0);
}

void Listener::close() {
    watch_.disarm_read();
    retry_.disarm();
    socket_.reset();
}

void Listener::shed_one() {
    spare_.reset();
    const UniqueFd refused(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    spare_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    log::Event("net.out_of_descriptors", log::Level::error);
    watch_.disarm_read();
    retry_.arm(kRetryMs);
}

void Listener::accept_some() {
    for (int i = 0; i < kBatch && !paused_ && !closed(); ++i) {
        sockaddr_storage peer{};
        socklen_t size = sizeof peer;
        auto* raw = reinterpret_cast<sockaddr*>(&peer);
        UniqueFd socket(::accept4(socket_.get(), raw, &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (!socket.valid()) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                shed_one();
            }
            if (errno == ECONNABORTED || errno == EINTR) continue;
            return;
        }
        const auto address = size > 0 ? SocketAddress::from_sockaddr(raw) : SocketAddress();
        if (address.is_ip()) {
            const int one = 1;
            ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        }
        on_accept_(std::move(socket), address);
    }
}

} // namespace tambo::net

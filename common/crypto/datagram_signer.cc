#include "common/crypto/datagram_signer.h"

#include "common/base/limits.h"
#include "common/sys/clock.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"

#include <poll.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace tambo {

namespace {

constexpr const char* kGone = "keyd is away";

int64_t now_ms() {
    return SystemClock().monotonic_ms();
}

} // namespace

DatagramSigner::DatagramSigner(SignCodec codec, int64_t timeout_ms)
    : codec_(std::move(codec)), timeout_ms_(timeout_ms) {}

void DatagramSigner::connect(UniqueFd socket) {
    set_nonblocking(socket.get());
    socket_ = std::move(socket);
}

// An error text, or nothing when the socket is ready.
std::optional<std::string> DatagramSigner::wait(short events, int64_t deadline_ms) const {
    for (;;) {
        const int64_t left = deadline_ms - now_ms();
        if (left <= 0) return "keyd does not answer";
        pollfd ready{socket_.get(), events, 0};
        const int n = ::poll(&ready, 1, static_cast<int>(left));
        if (n > 0) return std::nullopt;
        if (n < 0 && errno != EINTR) return kGone;
    }
}

std::optional<std::string> DatagramSigner::send(std::string_view datagram, int64_t deadline_ms) {
    for (;;) {
        switch (send_datagram(socket_.get(), datagram, {}, {})) {
        case SendStatus::sent:
            return std::nullopt;
        case SendStatus::closed:
            socket_.reset();
            return kGone;
        case SendStatus::would_block:
            if (auto late = wait(POLLOUT, deadline_ms)) return late;
        }
    }
}

Result<std::string> DatagramSigner::sign(const SignRequest& request) try {
    if (!connected()) return Err{kGone};
    const int64_t deadline_ms = now_ms() + timeout_ms_;
    const uint64_t id = ++last_id_;
    if (auto failed = send(codec_.encode(id, request), deadline_ms)) return Err{*failed};
    for (;;) {
        if (auto late = wait(POLLIN, deadline_ms)) return Err{*late};
        Datagram answer;
        switch (receive_datagram(socket_.get(), limits::ipc_message_bytes, 0, answer)) {
        case ReceiveStatus::would_block:
            continue;
        case ReceiveStatus::closed:
            socket_.reset();
            return Err{kGone};
        case ReceiveStatus::received:
            if (auto decoded = codec_.decode(id, answer.bytes)) return std::move(*decoded);
        }
    }
} catch (const std::system_error& e) {
    socket_.reset();
    return Err{std::string(e.what())};
}

} // namespace tambo

// A client of a login daemon, in the process of its test, which turns the loop by hand.
#pragma once

#include "common/base/unique_fd.h"
#include "tests/unit/crypto/tls_pair.h"
#include "tests/unit/turn.h"

#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tambo::login::test {

class Client {
  public:
    Client(Loop& loop, UniqueFd socket) : loop_(loop), socket_(std::move(socket)) {}

    void send(std::string_view bytes) {
        for (int tries = 0; !bytes.empty() && !closed && tries < 100'000; ++tries) {
            const size_t sent = send_some(bytes);
            bytes.remove_prefix(sent);
            if (sent == 0) {
                turn(loop_);
                take();
            }
        }
    }
    // As much as goes without waiting.
    size_t send_some(std::string_view bytes) {
        size_t sent = 0;
        if (tls_) return tls_->write(bytes, sent) == TlsStatus::done ? sent : 0;
        const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) closed = true;
        return n > 0 ? static_cast<size_t>(n) : 0;
    }
    bool take() {
        static char buffer[65536]; // not on the stack: the sanitizer marks all of it
        bool some = false;
        for (;;) {
            size_t got = 0;
            TlsStatus status = TlsStatus::done;
            if (tls_) {
                status = tls_->read(buffer, sizeof buffer, got);
            } else {
                const ssize_t n = ::recv(socket_.get(), buffer, sizeof buffer, 0);
                if (n <= 0)
                    status = n < 0 && errno == EAGAIN ? TlsStatus::want_read : TlsStatus::closed;
                if (n > 0) got = static_cast<size_t>(n);
            }
            if (status == TlsStatus::closed || status == TlsStatus::failed) closed = true;
            if (status != TlsStatus::done) return some;
            received.append(buffer, got);
            some = true;
        }
    }
    // One turn of the loop. Whether something came.
    bool turn_once() {
        turn(loop_);
        return take();
    }
    // Authd has been asked and has answered by then.
    static constexpr int kQuietTurns = 16;
    void settle() {
        for (int quiet = 0; quiet < kQuietTurns; ++quiet) {
            if (turn_once()) quiet = 0;
        }
    }
    std::string ask(std::string_view bytes) {
        received.clear();
        send(bytes);
        settle();
        return received;
    }
    // Everything that came so far, once.
    std::string said() {
        settle();
        return std::exchange(received, "");
    }
    // false: the handshake failed.
    bool start_tls(std::vector<std::string> alpn = {}) {
        tls_ = TlsSession::client(tambo::test::client_context(TlsVerify::required, std::move(alpn)),
                                  socket_.get(), {"mail.example.test", {"mail.example.test"}});
        for (int i = 0; i < 1000; ++i) {
            const TlsStatus status = tls_->handshake();
            if (status == TlsStatus::done) return true;
            if (status == TlsStatus::failed || status == TlsStatus::closed) return false;
            turn(loop_);
        }
        return false;
    }
    const std::string& tls_error() const { return tls_->error(); }
    void hang_up() { socket_.reset(); }
    void shut() { ::shutdown(socket_.get(), SHUT_RDWR); }
    int fd() const { return socket_.get(); }

    std::string received;
    bool closed = false;

  private:
    Loop& loop_;
    UniqueFd socket_;
    std::optional<TlsSession> tls_;
};

} // namespace tambo::login::test

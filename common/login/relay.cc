// See relay.h. Both directions share the Relay, so that whichever ends last takes the streams down
// with it: a cancelled process ends them in any order.
#include "common/login/relay.h"

#include <sys/socket.h>

#include <algorithm>

namespace tambo::login {

namespace {

constexpr size_t kPiece = 16 * 1024;
constexpr size_t kPauseBytes = 512 * 1024; // then others have their turn
constexpr size_t kLastWords = 256;

} // namespace

Relay::Relay(std::unique_ptr<Connection> connection, UniqueFd session)
    : connection_(std::move(connection)),
      session_(connection_->service.nursery, std::move(session), 0),
      up_ended_(connection_->service.nursery) {
    connection_->session_fd = session_.fd();
    connection_->io.set_timeout(connection_->service.pace.stalled_ms);
}

Relay::~Relay() {
    connection_->session_fd = -1;
}

void Relay::start(std::unique_ptr<Connection> connection, UniqueFd session) {
    Nursery& nursery = connection->service.nursery;
    auto relay = std::make_shared<Relay>(std::move(connection), std::move(session));
    nursery.spawn(up(relay));
    nursery.spawn(down(std::move(relay)));
}

task<> Relay::breathe(size_t bytes, size_t& since_pause) {
    since_pause += bytes;
    if (since_pause < kPauseBytes) co_return;
    since_pause = 0;
    co_await sleep_ms(connection_->service.nursery, 0);
}

// ---- from the client

task<> Relay::up(std::shared_ptr<Relay> self) {
    try {
        co_await self->pump_up();
    } catch (const Closed&) {
    } catch (const TimedOut&) {
        self->connection_->ended_why = "timeout";
    } catch (const net::TlsError&) {
        self->connection_->ended_why = "tls";
    }
    // The session sees the end of its input and closes; what it still has to say is carried.
    ::shutdown(self->session_.fd(), SHUT_WR);
    self->is_up_ = false;
    self->up_ended_.open();
}

// A client that is silent because it still takes a large message is not stalled.
task<> Relay::pump_up() {
    size_t since_pause = 0;
    for (;;) {
        const uint64_t carried = connection_->bytes_out;
        const int64_t patience_ms = connection_->service.pace.stalled_ms;
        const net::Wait wait = co_await connection_->io.wait_input(patience_ms);
        if (wait == net::Wait::timed_out) {
            if (connection_->bytes_out == carried) throw TimedOut{};
            continue;
        }
        const auto piece = co_await connection_->io.read_some(kPiece);
        const size_t size = piece.size();
        connection_->bytes_in += size;
        connection_->quiet_since_ms.reset();
        last_words_.clear();
        session_.put(piece);
        co_await session_.flush();
        co_await breathe(size, since_pause);
    }
}

// ---- to the client

task<> Relay::down(std::shared_ptr<Relay> self) {
    try {
        co_await self->pump_down();
    } catch (const Closed&) {
    } catch (const TimedOut&) {
        self->connection_->ended_why = "stalled";
    } catch (const net::TlsError&) {
        self->connection_->ended_why = "tls";
    }
    try {
        if (self->session_ended_) co_await self->take_leave();
    } catch (const Closed&) {
    } catch (const TimedOut&) {
    } catch (const net::TlsError&) {
    }
    // Ends the other direction, wherever it waits.
    ::shutdown(self->connection_->io.fd(), SHUT_RDWR);
    ::shutdown(self->session_.fd(), SHUT_RDWR);
}

task<> Relay::pump_down() {
    size_t since_pause = 0;
    for (;;) {
        session_ended_ = true; // if the read throws
        const auto piece = co_await session_.read_some(kPiece);
        session_ended_ = false;
        const size_t size = piece.size();
        const uint64_t heard = connection_->bytes_in;
        connection_->bytes_out += size;
        keep_last_words(piece);
        connection_->io.put(piece);
        co_await connection_->io.flush();
        if (connection_->bytes_in == heard) connection_->quiet_since_ms = Loop::monotonic_ms();
        co_await breathe(size, since_pause);
    }
}

void Relay::keep_last_words(std::string_view piece) {
    const size_t kept =
        std::min(last_words_.size(), kLastWords - std::min(kLastWords, piece.size()));
    last_words_.erase(0, last_words_.size() - kept);
    last_words_.append(piece.substr(piece.size() - std::min(kLastWords, piece.size())));
}

// The session is over. The client may close first, so that nothing of the last words is lost.
task<> Relay::take_leave() {
    const Ending ending{
        .last_words = last_words_, .bytes_out = connection_->bytes_out, .client_is_up = is_up_};
    Farewell farewell = connection_->service.protocol.part(ending);
    if (!farewell.why.empty() && connection_->ended_why == "gone") {
        connection_->ended_why = std::move(farewell.why);
    }
    connection_->io.put(farewell.say);
    co_await connection_->io.flush();
    connection_->io.finish();
    if (is_up_) co_await up_ended_.wait(connection_->service.pace.linger_ms);
}

} // namespace tambo::login

#include "common/net/stream.h"

#include "common/base/check.h"
#include "common/sys/error.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tambo::net {

namespace {
constexpr size_t kBufferBytes = 8192;
constexpr size_t kOutputKept = 64; // capacity that an idle stream keeps
} // namespace

Stream::Stream(Nursery& nursery, UniqueFd socket, int64_t timeout_ms)
    : nursery_(nursery), socket_(std::move(socket)), timeout_ms_(timeout_ms),
      watch_(nursery.loop(), socket_.get(), on_ready, this) {}

Stream::~Stream() {
    check(reader_ == nullptr && writer_ == nullptr, "a stream goes while somebody waits for it");
}

// ---- buffers

void Stream::consume(size_t count) {
    check(count <= end_ - begin_, "consuming more than is buffered");
    begin_ += count;
    if (begin_ == end_) begin_ = end_ = 0;
}

// Input only when a read waits: views of the last read are good until then.
void Stream::release_idle(bool input) {
    if (input && begin_ == end_) {
        buffer_.reset();
        capacity_ = begin_ = end_ = 0;
    }
    if (output_pending() == 0 && output_.capacity() > kOutputKept) {
        std::string().swap(output_);
        output_sent_ = 0;
    }
}

// done: bytes were added.
TlsStatus Stream::fill(size_t want_capacity) {
    if (begin_ > 0) {
        if (end_ > begin_) std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    const size_t need = std::max(kBufferBytes, want_capacity);
    if (capacity_ < need && (capacity_ == 0 || end_ == capacity_)) {
        const size_t grown = std::min(need, std::max(kBufferBytes, capacity_ * 2));
        auto bigger = std::make_unique_for_overwrite<char[]>(grown);
        if (end_ > 0) std::memcpy(bigger.get(), buffer_.get(), end_);
        buffer_ = std::move(bigger);
        capacity_ = grown;
    }
    check(end_ < capacity_, "reading into a full buffer");
    if (tls_) {
        size_t got = 0;
        const TlsStatus status = tls_->read(buffer_.get() + end_, capacity_ - end_, got);
        if (status == TlsStatus::done) end_ += got;
        return status;
    }
    for (;;) {
        const ssize_t n = ::recv(socket_.get(), buffer_.get() + end_, capacity_ - end_, 0);
        if (n > 0) {
            end_ += static_cast<size_t>(n);
            return TlsStatus::done;
        }
        if (n == 0 || errno == ECONNRESET) return TlsStatus::closed;
        if (errno == EAGAIN) return TlsStatus::want_read;
        if (errno == EINTR) continue;
        io_errno_ = errno;
        return TlsStatus::failed;
    }
}

TlsStatus Stream::drain() {
    while (output_pending() > 0) {
        const auto rest = std::string_view(output_).substr(output_sent_);
        if (tls_) {
            size_t sent = 0;
            const TlsStatus status = tls_->write(rest, sent);
            if (status != TlsStatus::done) return status;
            output_sent_ += sent;
            continue;
        }
        const ssize_t n = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (n >= 0) {
            output_sent_ += static_cast<size_t>(n);
        } else if (errno == EAGAIN) {
            return TlsStatus::want_write;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return TlsStatus::closed;
        } else if (errno != EINTR) {
            io_errno_ = errno;
            return TlsStatus::failed;
        }
    }
    output_.clear();
    output_sent_ = 0;
    return TlsStatus::done;
}

bool Stream::poll_input() {
    check(reader_ == nullptr, "polling while a read waits");
    if (capacity_ > 0 && begin_ == 0 && end_ == capacity_) return false;
    return fill(0) == TlsStatus::done;
}

void Stream::wake() {
    woken_ = true;
    if (reader_ == nullptr) return;
    Op* op = reader_;
    if (op->step() == Step::again) return; // not a wait for input: seen by the next one
    reader_ = nullptr;
    op->unlink();
    nursery_.loop().resume_later(*op);
}

std::optional<std::string> Stream::channel_binding() const {
    return tls_ ? tls_->channel_binding() : std::nullopt;
}

void Stream::finish() {
    if (tls_) static_cast<void>(tls_->shutdown());
    ::shutdown(socket_.get(), SHUT_WR);
}

// ---- waiting

int64_t Stream::wait_ms(int64_t timeout_ms) const {
    if (deadline_ms_ == 0) return timeout_ms;
    const int64_t left = std::max<int64_t>(1, deadline_ms_ - Loop::monotonic_ms());
    return timeout_ms > 0 ? std::min(timeout_ms, left) : left;
}

void Stream::arm(Op& op) {
    const int64_t now = Loop::monotonic_ms();
    // A read ends then, however many bytes trickle in. A write has its time anew when some went.
    if (op.until_ms_ == 0 || !op.reads_) {
        const int64_t timeout =
            wait_ms(op.timeout_override_ms_ > 0 ? op.timeout_override_ms_ : timeout_ms_);
        op.until_ms_ = timeout > 0 ? now + timeout : 0;
    }
    if (op.reads_ && quick_ack_) {
        const int one = 1; // holds until the kernel thinks better of it: anew for each wait
        ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
    }
    watch(op.wants_write_, now);
}

// Both operations may wait for the same (TLS): the watch wakes for the one whose time is up first.
void Stream::watch(bool write, int64_t now_ms) {
    bool wanted = false;
    int64_t until = 0;
    for (const Op* op : {reader_, writer_}) {
        if (op == nullptr || op->wants_write_ != write) continue;
        wanted = true;
        if (op->until_ms_ == 0) continue;
        until = until == 0 ? op->until_ms_ : std::min(until, op->until_ms_);
    }
    if (!wanted) return;
    const int64_t left = until == 0 ? 0 : std::max<int64_t>(1, until - now_ms);
    if (write) {
        watch_.arm_write(left);
    } else {
        watch_.arm_read(left);
    }
}

void Stream::on_ready(void* self, unsigned what) { static_cast<Stream*>(self)->complete(what); }

// The watch does not say whose time is up, and it may be left from a wait that has ended: each
// operation knows its own.
bool Stream::ends_now(Op& op, unsigned what, int64_t now_ms) {
    if ((what & FdWatch::timed_out) != 0 && op.until_ms_ != 0 && op.until_ms_ <= now_ms) {
        op.time_out();
        return true;
    }
    const unsigned wanted = op.wants_write_ ? FdWatch::writable : FdWatch::readable;
    if ((what & wanted) == 0) return false;
    if (op.step() == Step::done) return true;
    arm(op);
    return false;
}

void Stream::complete(unsigned what) {
    const bool timed_out = (what & FdWatch::timed_out) != 0;
    const int64_t now = timed_out ? Loop::monotonic_ms() : 0;
    Op* finished[2] = {nullptr, nullptr};
    int count = 0;
    for (Op** slot : {&reader_, &writer_}) {
        Op* op = *slot;
        if (op == nullptr || !ends_now(*op, what, now)) continue;
        *slot = nullptr;
        op->unlink();
        finished[count++] = op;
    }
    if (timed_out) {
        watch(false, now);
        watch(true, now);
    }
    // Back-pressure, once something comes that nobody waits for: whoever reads in turn with its peer
    // waits again before that, and the kernel is not told twice for each line.
    const auto reads = [](const Op* op) { return op != nullptr && !op->wants_write_; };
    if (count == 0 && !reads(reader_) && !reads(writer_)) watch_.disarm_read();
    // The stream may be gone once the only waiter has run; a second one keeps it alive.
    if (count == 2) nursery_.loop().resume_later(*finished[1]);
    if (count > 0) finished[0]->handle.resume();
}

bool Stream::Op::await_ready() {
    if (stream_.nursery_.cancelled()) {
        fail_ = Fail::cancelled;
        return true;
    }
    return step() == Step::done;
}

void Stream::Op::await_suspend(std::coroutine_handle<> waiting) {
    handle = waiting;
    Op*& slot = reads_ ? stream_.reader_ : stream_.writer_;
    check(slot == nullptr, "two operations of one kind on a stream");
    slot = this;
    stream_.nursery_.link(*this);
    stream_.release_idle(reads_);
    stream_.arm(*this);
}

void Stream::Op::cancel() {
    (reads_ ? stream_.reader_ : stream_.writer_) = nullptr;
    fail_ = Fail::cancelled;
    handle.resume();
}

Stream::Step Stream::Op::outcome(TlsStatus status) {
    switch (status) {
    case TlsStatus::done: return Step::done;
    case TlsStatus::want_read: wants_write_ = false; return Step::again;
    case TlsStatus::want_write: wants_write_ = true; return Step::again;
    case TlsStatus::closed: fail_ = Fail::closed; return Step::done;
    case TlsStatus::failed: break;
    }
    fail_ = stream_.tls_ ? Fail::tls : Fail::error;
    return Step::done;
}

void Stream::Op::rethrow() const {
    switch (fail_) {
    case Fail::none: return;
    case Fail::cancelled: throw Cancelled{};
    case Fail::timeout: throw TimedOut{};
    case Fail::closed: throw Closed{};
    case Fail::too_long: throw LineTooLong{};
    case Fail::tls: throw TlsError(stream_.tls_->error());
    case Fail::error: throw_error(stream_.io_errno_, "connection");
    }
}

// ---- the operations

Stream::ReadLine Stream::read_line(size_t max) { return ReadLine(*this, max); }
Stream::ReadSome Stream::read_some(size_t max) { return ReadSome(*this, max); }
Stream::WaitInput Stream::wait_input(int64_t timeout_ms) { return WaitInput(*this, timeout_ms); }
Stream::Flush Stream::flush() { return Flush(*this); }

Stream::Step Stream::ReadLine::step() {
    for (;;) {
        const auto in = stream_.buffered();
        const auto end = in.find('\n', scanned_);
        if (end != std::string_view::npos && end < max_) {
            line_ = in.substr(0, end);
            stream_.bare_lf_ = line_.empty() || line_.back() != '\r';
            if (!stream_.bare_lf_) line_.remove_suffix(1);
            stream_.begin_ += end + 1; // not consume(): the view must stay
            return Step::done;
        }
        if (in.size() >= max_) {
            fail_ = Fail::too_long;
            return Step::done;
        }
        scanned_ = in.size();
        const TlsStatus status = stream_.fill(max_);
        if (status != TlsStatus::done) return outcome(status);
    }
}

std::string_view Stream::ReadLine::await_resume() {
    rethrow();
    return line_;
}

Stream::Step Stream::ReadSome::step() {
    for (;;) {
        const auto in = stream_.buffered();
        if (!in.empty()) {
            data_ = in.substr(0, max_);
            stream_.begin_ += data_.size();
            return Step::done;
        }
        const TlsStatus status = stream_.fill(0);
        if (status != TlsStatus::done) return outcome(status);
    }
}

std::string_view Stream::ReadSome::await_resume() {
    rethrow();
    return data_;
}

Stream::Step Stream::WaitInput::step() {
    if (stream_.woken_) {
        stream_.woken_ = false;
        result_ = Wait::woken;
        return Step::done;
    }
    if (!stream_.buffered().empty()) return Step::done;
    return outcome(stream_.fill(0));
}

Wait Stream::WaitInput::await_resume() {
    rethrow();
    return result_;
}

Stream::Step Stream::Flush::step() { return outcome(stream_.drain()); }

Stream::Handshake Stream::start_tls_server(const TlsContext& context) {
    check(buffered().empty() && output_pending() == 0, "STARTTLS with bytes in the buffers");
    tls_.emplace(TlsSession::server(context, socket_.get()));
    return Handshake(*this);
}

Stream::Handshake Stream::start_tls_client(const TlsContext& context, const TlsPeer& peer) {
    check(buffered().empty() && output_pending() == 0, "STARTTLS with bytes in the buffers");
    tls_.emplace(TlsSession::client(context, socket_.get(), peer));
    return Handshake(*this);
}

Stream::Step Stream::Handshake::step() { return outcome(stream_.tls_->handshake()); }

} // namespace tambo::net

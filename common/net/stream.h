// A buffered, TLS-capable byte stream over one non-blocking socket. Its operations are awaiters,
// not coroutines: a wait allocates nothing, only protocol functions have frames. Buffers are
// released while idle.
//
// One read operation and one write operation may wait at the same time (a proxy does both), each
// with a time-out of its own.
#pragma once

#include "common/base/unique_fd.h"
#include "common/crypto/tls.h"
#include "common/event/nursery.h"

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tambo::net {

// The peer sent more than max bytes without a line end. What was read is still in the buffer.
struct LineTooLong : std::runtime_error {
    LineTooLong() : std::runtime_error("line too long") {}
};
struct TlsError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class Wait { input, woken, timed_out };

class Stream {
  public:
    // socket: non-blocking, owned from now on. timeout_ms: of each single wait (0: none).
    Stream(Nursery& nursery, UniqueFd socket, int64_t timeout_ms);
    // No operation may be waiting (check).
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    int fd() const { return socket_.get(); }
    Nursery& nursery() { return nursery_; }
    void set_timeout(int64_t timeout_ms) { timeout_ms_ = timeout_ms; }
    // No wait goes beyond this instant of Loop::monotonic_ms(); 0: none.
    void set_deadline(int64_t monotonic_ms) { deadline_ms_ = monotonic_ms; }

    // From now on a wait for input first has the kernel acknowledge what came, instead of up to 40
    // ms later in the hope of an answer that takes the acknowledgement along. For clients that send
    // a command in pieces: their own kernel keeps the next piece back until then (RFC
    // 1122 4.2.3.4).
    void set_quick_ack() { quick_ack_ = true; }

    // ---- reading. Waits throw Closed (end of stream), TimedOut, Cancelled, TlsError,
    // std::system_error. Returned views are good until the next read operation.
    class ReadLine;
    class ReadSome;
    class WaitInput;
    // The next line without its LF or CRLF; LineTooLong if none ends within max bytes.
    ReadLine read_line(size_t max);
    // Whether the line that read_line returned last ended in a bare LF.
    bool line_was_bare_lf() const { return bare_lf_; }
    // Between 1 and max bytes, whatever is there first.
    ReadSome read_some(size_t max);
    // co_await s.wait_input(ms): until bytes are there (not consumed), wake() is called or the time
    // is up (0: the stream's timeout). Never throws TimedOut.
    WaitInput wait_input(int64_t timeout_ms);
    // Ends the wait_input() that is waiting, or the next one at once.
    void wake();

    // Bytes received and not yet consumed.
    std::string_view buffered() const { return {buffer_.get() + begin_, end_ - begin_}; }
    bool has_line() const { return buffered().find('\n') != std::string_view::npos; }
    void consume(size_t count);
    // Reads what the socket has, without waiting. false: nothing new.
    bool poll_input();

    // ---- writing
    void put(std::string_view bytes) { output_.append(bytes); }
    size_t output_pending() const { return output_.size() - output_sent_; }
    class Flush;
    // Until everything put so far is handed to the kernel. Throws like reading.
    Flush flush();

    // ---- TLS
    class Handshake;
    bool tls() const { return tls_.has_value(); }
    TlsInfo tls_info() const { return tls_ ? tls_->info() : TlsInfo(); }
    std::optional<std::string> channel_binding() const;
    // The caller has made sure that nothing is buffered (STARTTLS injection) and that output is
    // flushed; both are checked. Throws TlsError when the handshake fails.
    Handshake start_tls_server(const TlsContext& context);
    Handshake start_tls_client(const TlsContext& context, const TlsPeer& peer);

    // Says close_notify if it can without waiting, and shuts the sending side.
    void finish();

  private:
    class Op;
    enum class Step { done, again };
    TlsStatus fill(size_t want_capacity);
    TlsStatus drain();
    void release_idle(bool input);
    int64_t wait_ms(int64_t timeout_ms) const;
    void arm(Op& op);
    void watch(bool write, int64_t now_ms);
    bool ends_now(Op& op, unsigned what, int64_t now_ms);
    void complete(unsigned what);
    static void on_ready(void* self, unsigned what);

    Nursery& nursery_;
    UniqueFd socket_;
    int64_t timeout_ms_;
    int64_t deadline_ms_ = 0;
    FdWatch watch_;
    std::optional<TlsSession> tls_;
    Op* reader_ = nullptr;
    Op* writer_ = nullptr;
    std::unique_ptr<char[]> buffer_;
    size_t capacity_ = 0, begin_ = 0, end_ = 0;
    std::string output_;
    size_t output_sent_ = 0;
    int io_errno_ = 0;
    bool bare_lf_ = false;
    bool woken_ = false;
    bool quick_ack_ = false;
};

// The common part of all waits.
class Stream::Op : public Waiter {
  public:
    Op(Stream& stream, bool reads) : stream_(stream), reads_(reads) {}
    virtual ~Op() = default;
    Op(const Op&) = delete;
    bool await_ready();
    void await_suspend(std::coroutine_handle<> waiting);
    void cancel() override;

  protected:
    friend class Stream;
    enum class Fail : unsigned char { none, cancelled, timeout, closed, error, tls, too_long };
    virtual Step step() = 0;
    virtual void time_out() { fail_ = Fail::timeout; }
    // Maps a status of fill() or drain(): done, or armed for more, or failed.
    Step outcome(TlsStatus status);
    void rethrow() const;

    Stream& stream_;
    bool reads_;
    bool wants_write_ = false;
    Fail fail_ = Fail::none;
    int64_t timeout_override_ms_ = 0;
    int64_t until_ms_ = 0; // times out then; 0: never
};

class Stream::ReadLine final : public Op {
  public:
    ReadLine(Stream& stream, size_t max) : Op(stream, true), max_(max) {}
    std::string_view await_resume();

  private:
    Step step() override;
    size_t max_, scanned_ = 0;
    std::string_view line_;
};

class Stream::ReadSome final : public Op {
  public:
    ReadSome(Stream& stream, size_t max) : Op(stream, true), max_(max) {}
    std::string_view await_resume();

  private:
    Step step() override;
    size_t max_;
    std::string_view data_;
};

class Stream::WaitInput final : public Op {
  public:
    WaitInput(Stream& stream, int64_t timeout_ms) : Op(stream, true) {
        timeout_override_ms_ = timeout_ms;
    }
    Wait await_resume();

  private:
    Step step() override;
    void time_out() override { result_ = Wait::timed_out; }
    Wait result_ = Wait::input;
};

class Stream::Flush final : public Op {
  public:
    explicit Flush(Stream& stream) : Op(stream, false) {}
    void await_resume() { rethrow(); }

  private:
    Step step() override;
};

class Stream::Handshake final : public Op {
  public:
    explicit Handshake(Stream& stream) : Op(stream, true) {}
    void await_resume() { rethrow(); }

  private:
    Step step() override;
};

} // namespace tambo::net

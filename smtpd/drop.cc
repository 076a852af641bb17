#include "smtpd/drop.h"

#include "common/base/text.h"
#include "common/net/stream.h"
#include "common/smtp/client_reply.h"
#include "common/smtp/data.h"
#include "common/sys/error.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "smtpd/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <system_error>

namespace tambo::smtpd {

namespace {

constexpr size_t kPieceBytes = 16 * 1024;

// The script, read in pieces and given out in lines or as it comes.
class Script {
  public:
    explicit Script(UniqueFd file) : file_(std::move(file)) {}

    // With its CRLF; empty at the end, or if no line ends within a command's limit.
    std::string take_line() {
        while (buffer_.find("\r\n") == std::string::npos) {
            if (buffer_.size() >= limits::smtp_line_bytes || !fill()) return {};
        }
        return take(buffer_.find("\r\n") + 2);
    }
    std::string_view peek() {
        if (buffer_.empty()) fill();
        return buffer_;
    }
    std::string take(size_t count) {
        std::string bytes = buffer_.substr(0, count);
        buffer_.erase(0, count);
        return bytes;
    }

  private:
    bool fill() {
        const size_t old = buffer_.size();
        buffer_.resize(old + kPieceBytes);
        const ssize_t n =
            ::pread(file_.get(), buffer_.data() + old, kPieceBytes, static_cast<off_t>(offset_));
        if (n < 0) throw_errno("read a dropped message");
        buffer_.resize(old + static_cast<size_t>(n));
        offset_ += static_cast<size_t>(n);
        return n > 0;
    }

    UniqueFd file_;
    std::string buffer_;
    size_t offset_ = 0;
};

task<int> read_code(net::Stream& stream) {
    smtp::ReplyParser parser;
    while (parser.state() == smtp::ReplyParser::State::wanting) {
        auto wait = co_await stream.wait_input(0);
        if (wait == net::Wait::timed_out) throw TimedOut{};
        const size_t taken = parser.feed(stream.buffered());
        stream.consume(taken);
    }
    co_return parser.reply().code;
}

task<int> ask(net::Stream& stream, std::string line) {
    stream.put(line);
    co_await stream.flush();
    auto code = co_await read_code(stream);
    co_return code;
}

// From the 354 to the final reply. A script that ends early is cut off: no reply, no message.
task<int> send_message(net::Stream& stream, Script& script) {
    smtp::DataDecoder end_finder;
    std::string unused;
    while (!end_finder.ended()) {
        const auto piece = script.peek();
        if (piece.empty()) throw Closed{};
        const size_t count = end_finder.feed(piece, unused);
        unused.clear();
        stream.put(script.take(count));
        co_await stream.flush();
    }
    auto code = co_await read_code(stream);
    co_return code;
}

task<bool> play(net::Stream& stream, Script& script) {
    auto code = co_await read_code(stream);
    int recipients = 0;
    while (code < 400) {
        std::string line = script.take_line();
        if (line.empty()) break;
        const bool is_rcpt = istarts_with(line, "RCPT");
        const bool is_data = iequals(trim(line), "DATA");
        code = co_await ask(stream, std::move(line));
        if (is_rcpt && code < 400) ++recipients;
        if (is_rcpt && code >= 500) code = 250; // the others shall have it; the event tells
        if (!is_data) continue;
        if (code != 354) break;
        code = co_await send_message(stream, script);
        co_return code<400 && recipients> 0;
    }
    co_return false;
}

} // namespace

task<bool> play_drop(Server& server, ipc::LocalArrival message) {
    auto [ours, theirs] = socket_pair(SOCK_STREAM);
    set_nonblocking(ours.get());
    set_nonblocking(theirs.get());
    server.serve(std::move(theirs), local_arrival(message));
    net::Stream stream(server.nursery(), std::move(ours), limits::smtp_command_timeout_ms);
    Script source(std::move(message.descriptor));
    bool done = false;
    try {
        done = co_await play(stream, source);
    } catch (const Closed&) {
        done = false;
    } catch (const TimedOut&) {
        done = false;
    }
    log::Event("smtp.drop", done ? log::Level::info : log::Level::error)
        .with("uid", static_cast<int64_t>(message.uid))
        .with("accepted", done ? "yes" : "no");
    co_return done;
}

void Drops::take(ipc::LocalArrival message) {
    if (message.drop_name == playing_) return;
    if (message.drop_name == last_ && last_done_) return report_(last_, true);
    playing_ = message.drop_name;
    server_.nursery().spawn(submit(std::move(message)));
}

task<> Drops::submit(ipc::LocalArrival message) {
    const std::string name = message.drop_name;
    bool done = false;
    try {
        done = co_await play_drop(server_, std::move(message));
    } catch (const std::system_error& e) {
        log::Event("smtp.drop", log::Level::error).with("name", name).with("error", e.what());
    }
    if (playing_ == name) playing_.clear();
    last_ = name;
    last_done_ = done;
    report_(name, done);
}

} // namespace tambo::smtpd

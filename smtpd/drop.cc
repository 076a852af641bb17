#include "smtpd/drop.h"

#include "common/base/text.h"
#include "common/net/stream.h"
#include "common/smtp/client_reply.h"
#include "common/smtp/command.h"
#include "common/smtp/data.h"
#include "common/sys/error.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "smtpd/drop_report.h"
#include "smtpd/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <exception>
#include <system_error>
#include <utility>
#include <vector>

namespace tambo::smtpd {

namespace {

constexpr size_t kPieceBytes = 16 * 1024;

// The script, read in pieces and given out in lines or as it comes.
class Script {
  public:
    explicit Script(int file) : file_(file) {}

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
            ::pread(file_, buffer_.data() + old, kPieceBytes, static_cast<off_t>(offset_));
        if (n < 0) throw_errno("read a dropped message");
        buffer_.resize(old + static_cast<size_t>(n));
        offset_ += static_cast<size_t>(n);
        return n > 0;
    }

    int file_;
    std::string buffer_;
    size_t offset_ = 0;
};

bool is_verb(std::string_view line, std::string_view verb) {
    return iequals(smtp::split_command(trim(line)).verb, verb);
}

// The address in the brackets of MAIL or RCPT; what a script of sendmail(1) has there.
std::string address_in(std::string_view line) {
    const auto from = line.find('<'), to = line.rfind('>');
    if (from == std::string_view::npos || to == std::string_view::npos || to < from) return {};
    return std::string(line.substr(from + 1, to - from - 1));
}

// The script ends before its message does: sendmail(1) died while it wrote it.
struct CutOff : std::exception {};

// A client of a session of its own, whose user is the owner of the file.
class Client {
  public:
    Client(Server& server, const ipc::LocalArrival& owner, std::pair<UniqueFd, UniqueFd> ends)
        : stream_(server.nursery(), std::move(ends.first), limits::smtp_command_timeout_ms) {
        server.serve(std::move(ends.second), local_arrival(owner));
    }
    static std::pair<UniqueFd, UniqueFd> pair() {
        auto ends = socket_pair(SOCK_STREAM);
        set_nonblocking(ends.first.get());
        set_nonblocking(ends.second.get());
        return ends;
    }

    task<smtp::ServerReply> reply() {
        smtp::ReplyParser parser;
        while (parser.state() == smtp::ReplyParser::State::wanting) {
            auto wait = co_await stream_.wait_input(0);
            if (wait == net::Wait::timed_out) throw TimedOut{};
            const size_t taken = parser.feed(stream_.buffered());
            stream_.consume(taken);
        }
        co_return parser.reply();
    }
    task<smtp::ServerReply> ask(std::string line) {
        stream_.put(line);
        co_await stream_.flush();
        auto answer = co_await reply();
        co_return answer;
    }
    // From the 354 to the final reply. A script that ends early is cut off: no reply, no message.
    task<smtp::ServerReply> send_message(Script& script) {
        smtp::DataDecoder end_finder;
        std::string unused;
        while (!end_finder.ended()) {
            const auto piece = script.peek();
            if (piece.empty()) throw CutOff{};
            const size_t count = end_finder.feed(piece, unused);
            unused.clear();
            stream_.put(script.take(count));
            co_await stream_.flush();
        }
        auto answer = co_await reply();
        co_return answer;
    }

  private:
    net::Stream stream_;
};

struct Played {
    ipc::DropOutcome outcome = ipc::DropOutcome::refused; // if it is no script at all
    std::vector<std::string> accepted;                    // at RCPT
    std::vector<DropRefusal> refused;
};

// The whole message is refused, or put off, by this reply.
void end_with(Played& played, const smtp::ServerReply& reply) {
    played.outcome = reply.permanent() ? ipc::DropOutcome::refused : ipc::DropOutcome::not_now;
    for (auto& recipient : played.accepted)
        played.refused.push_back({std::move(recipient), reply});
    played.accepted.clear();
}

// Everybody whom the script names, refused by the reply to a command before.
void name_all(Played& played, Script& script, const smtp::ServerReply& reply) {
    for (auto line = script.take_line(); !line.empty() && !is_verb(line, "DATA");
         line = script.take_line()) {
        if (is_verb(line, "RCPT")) played.accepted.push_back(address_in(line));
    }
    end_with(played, reply);
}

task<> play(Client& client, Script& script, Played& played) {
    auto reply = co_await client.reply();
    for (;;) {
        if (!reply.positive()) {
            name_all(played, script, reply);
            co_return;
        }
        std::string line = script.take_line();
        if (line.empty()) co_return;
        const bool is_rcpt = is_verb(line, "RCPT"), is_data = is_verb(line, "DATA");
        const std::string address = is_rcpt ? address_in(line) : std::string();
        reply = co_await client.ask(std::move(line));
        if (is_rcpt && reply.positive()) played.accepted.push_back(address);
        if (is_rcpt && reply.permanent()) { // the others shall have it
            played.refused.push_back({address, reply});
            reply.code = 250;
        }
        if (is_data) break;
    }
    // Without recipients DATA is refused, and they have been named already.
    if (reply.code == 354) reply = co_await client.send_message(script);
    if (reply.code < 300) {
        played.outcome = ipc::DropOutcome::taken;
    } else {
        end_with(played, reply);
    }
}

// The message of the script, or its beginning.
DropReport report_of(Server& server, const ipc::LocalArrival& owner, Played played) {
    Service& service = server.service();
    DropReport report;
    report.id = Id{service.random.u64(), service.random.u64()};
    report.now = service.clock.now();
    report.hostname = service.config.hostname;
    report.to = owner.address;
    report.others_took_it = played.outcome == ipc::DropOutcome::taken;
    report.refused = std::move(played.refused);
    Script script(owner.descriptor.get());
    for (auto line = script.take_line(); !line.empty() && !is_verb(line, "DATA");)
        line = script.take_line();
    smtp::DataDecoder decoder;
    while (!decoder.ended() && report.message.size() <= limits::bounce_full_message_bytes) {
        const auto piece = script.peek();
        if (piece.empty()) break;
        script.take(decoder.feed(piece, report.message));
    }
    report.whole =
        decoder.ended() && report.message.size() <= limits::bounce_full_message_bytes;
    return report;
}

task<ipc::DropOutcome> return_to(Client& client, std::string owner, std::string message) {
    auto reply = co_await client.reply();
    const std::string to_owner = cat("RCPT TO:<", owner, ">\r\n");
    if (reply.positive()) reply = co_await client.ask("EHLO localhost\r\n");
    if (reply.positive()) reply = co_await client.ask("MAIL FROM:<>\r\n");
    if (reply.positive()) reply = co_await client.ask(to_owner);
    if (reply.permanent()) reply = co_await client.ask("RCPT TO:<postmaster>\r\n");
    if (reply.positive()) reply = co_await client.ask("DATA\r\n");
    if (reply.code == 354) reply = co_await client.ask(std::move(message));
    if (reply.permanent()) co_return ipc::DropOutcome::refused;
    co_return reply.code < 300 ? ipc::DropOutcome::taken : ipc::DropOutcome::not_now;
}

// taken: the owner has the message again, or is told that others have it.
task<ipc::DropOutcome> give_back(Server& server, const ipc::LocalArrival& owner, Played played) {
    const DropReport report = report_of(server, owner, std::move(played));
    std::string wire;
    smtp::DataEncoder encoder;
    const bool good =
        encoder.feed(compose_drop_report(report), wire) && encoder.finish(wire);
    if (!good) co_return ipc::DropOutcome::refused; // the message has a bare line end
    Client client(server, owner, Client::pair());
    std::string to = owner.address;
    auto outcome = ipc::DropOutcome::not_now;
    try {
        outcome = co_await return_to(client, std::move(to), std::move(wire));
    } catch (const Closed&) {
        outcome = ipc::DropOutcome::not_now;
    } catch (const TimedOut&) {
        outcome = ipc::DropOutcome::not_now;
    }
    const bool returned = outcome == ipc::DropOutcome::taken;
    log::Event("smtp.drop_returned", returned ? log::Level::notice : log::Level::error)
        .with("uid", static_cast<int64_t>(owner.uid))
        .with("to", owner.address)
        .with("recipients", static_cast<int64_t>(report.refused.size()))
        .with("accepted", returned ? "yes" : "no");
    if (report.others_took_it) co_return ipc::DropOutcome::taken;
    if (returned && !report.whole) co_return ipc::DropOutcome::refused; // set aside, not lost
    co_return outcome;
}

} // namespace

task<ipc::DropOutcome> play_drop(Server& server, ipc::LocalArrival message) {
    Played played;
    {
        Client client(server, message, Client::pair());
        Script script(message.descriptor.get());
        try {
            co_await play(client, script, played);
        } catch (const CutOff&) {
            played = Played();
        } catch (const Closed&) {
            played.outcome = ipc::DropOutcome::not_now;
        } catch (const TimedOut&) {
            played.outcome = ipc::DropOutcome::not_now;
        }
    }
    const bool taken = played.outcome == ipc::DropOutcome::taken;
    log::Event("smtp.drop", taken ? log::Level::info : log::Level::error)
        .with("uid", static_cast<int64_t>(message.uid))
        .with("accepted", taken ? "yes" : "no")
        .with("refused", static_cast<int64_t>(played.refused.size()));
    const bool later = played.outcome == ipc::DropOutcome::not_now;
    if (played.refused.empty() || later) co_return played.outcome;
    auto outcome = co_await give_back(server, message, std::move(played));
    co_return outcome;
}

void Drops::take(ipc::LocalArrival message) {
    if (message.drop_name == playing_) return;
    const bool known = message.drop_name == last_ && last_outcome_ != ipc::DropOutcome::not_now;
    if (known) return report_(last_, last_outcome_);
    playing_ = message.drop_name;
    server_.nursery().spawn(submit(std::move(message)));
}

task<> Drops::submit(ipc::LocalArrival message) {
    const std::string name = message.drop_name;
    auto outcome = ipc::DropOutcome::not_now;
    try {
        outcome = co_await play_drop(server_, std::move(message));
    } catch (const std::system_error& e) {
        log::Event("smtp.drop", log::Level::error).with("name", name).with("error", e.what());
    }
    if (playing_ == name) playing_.clear();
    last_ = name;
    last_outcome_ = outcome;
    report_(name, outcome);
}

} // namespace tambo::smtpd

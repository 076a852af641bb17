// A whole session of the relay client, from the greeting to the last reply, against a server that
// says whatever the input is: in clear up to a byte 0xfd, at which it waits for STARTTLS and goes
// on under TLS. The first byte says what is wanted of the session. However it is answered, what we
// send is lines that end in CRLF, and each recipient's result is one that queued can keep.
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "relayd/transaction.h"
#include "tests/fuzz/server_tls.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

using namespace tambo;
using namespace tambo::relayd;

namespace {

constexpr std::string_view kStartTls = "STARTTLS\r\n";
constexpr std::string_view kContent = "From: <a@we.test>\r\nSubject: \xC3\xBC\r\n\r\n.dot\r\n"
                                      "\xC3\xBC\r\nlast";
constexpr std::string_view kUnconvertible = "Content-Transfer-Encoding: x\r\n\r\n\xC3\xBC\r\n";

ipc::Relay make_job(std::string_view sender, std::string_view content) {
    ipc::Relay job;
    job.destination = "d.test";
    job.reverse_path = sender;
    job.recipients = {{0, "b@d.test"},
                      {1, "c@b\xC3\xBC"
                          "cher.test"},
                      {2, "\xC3\xB6@d.test"}};
    job.prefix = "Received: x\r\n";
    job.body = UniqueFd(::memfd_create("body", MFD_CLOEXEC));
    write_all(job.body.get(), content, "body");
    job.body_bytes = content.size();
    return job;
}

// Three senders: one of ASCII, one that needs SMTPUTF8, none.
const ipc::Relay& job_of(size_t which) {
    static const ipc::Relay jobs[] = {make_job("a@we.test", kContent),
                                      make_job("\xC3\xB6@we.test", kContent),
                                      make_job("", kUnconvertible)};
    return jobs[which];
}

Mail mail_of(const ipc::Relay& job) {
    Mail mail{job, {}, {}, Content(job.prefix, job.body.get(), job.body_bytes), {}};
    if (!job.reverse_path.empty()) mail.sender = smtp::parse_address(job.reverse_path).value();
    for (const auto& [number, address] : job.recipients)
        mail.recipients.push_back(smtp::parse_address(address).value());
    mail.facts = mail.content.inspect();
    return mail;
}

const TlsContexts& contexts() {
    static const TlsContexts both = [] {
        auto context = TlsContext::client(TlsClientConfig());
        return TlsContexts{*context, *context, false};
    }();
    return both;
}

SessionPolicy policy_of(unsigned byte) {
    SessionPolicy policy;
    policy.hostname = "we.test";
    policy.starttls = byte & 1;
    if (byte & 2) policy.user = policy.password = "secret";
    if (byte & 4) policy.tls = conf::TlsDemand::encrypt;
    policy.implicit_tls = byte & 8;
    if ((byte & 0x14) == 0x14) policy.tls = conf::TlsDemand::verify;
    if ((byte & 0x12) == 0x12) policy.password = std::string(500, 'p');
    return policy;
}

Hop hop_of(unsigned byte) {
    if (byte & 0x20) return {"[192.0.2.1]", *net::SocketAddress::parse("192.0.2.1", 25)};
    return {"mx.test", *net::SocketAddress::parse("127.0.0.1", 25)};
}

task<> converse(Connection& connection,
                const SessionPolicy& policy,
                Transaction& transaction,
                Transaction& second) {
    try {
        const auto opened = co_await connection.open(policy, contexts());
        if (opened != Connection::Opened::ready) {
            check(connection.failure().status.code >= 400, "a failure has a reason");
            co_return;
        }
        co_await transaction.run();
        if (connection.idle()) co_await second.run();
    } catch (const Closed&) {
    } catch (const TimedOut&) {
    } catch (const net::TlsError&) {
    } catch (const ProtocolError&) {
    }
}

// Says what it is told, and keeps what it hears.
class Server {
  public:
    Server(Loop& loop, UniqueFd socket) : loop_(loop), socket_(std::move(socket)) {
        set_nonblocking(socket_.get());
    }

    void say(std::string_view bytes) {
        const auto sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
        check(sent == static_cast<ssize_t>(bytes.size()), "the input fits a socket");
    }
    // Not if the client did not ask for it.
    void say_under_tls(std::string_view bytes, bool implicit) {
        static const TlsContext context = fuzz::server_tls("smtp");
        turn();
        if (!implicit && !hear_starttls()) return;
        tls_.emplace(TlsSession::server(context, socket_.get()));
        auto status = tls_->handshake();
        for (int i = 0; i < 8 && status == TlsStatus::want_read; ++i) {
            turn();
            status = tls_->handshake();
        }
        secured_ = status == TlsStatus::done;
        if (!secured_) return;
        size_t sent = 0;
        while (!bytes.empty() && tls_->write(bytes, sent) == TlsStatus::done)
            bytes.remove_prefix(sent);
        static_cast<void>(tls_->shutdown());
    }
    void finish() { ::shutdown(socket_.get(), SHUT_WR); }

    // What the client has sent, in clear and under TLS.
    std::string heard() {
        std::string piece(65536, '\0');
        ssize_t got = 0;
        while (!tls_ && (got = ::recv(socket_.get(), piece.data(), piece.size(), 0)) > 0)
            clear_.append(piece, 0, static_cast<size_t>(got));
        return clear_;
    }
    std::string heard_under_tls() {
        std::string all, piece(65536, '\0');
        size_t got = 0;
        while (secured_ && tls_->read(piece.data(), piece.size(), got) == TlsStatus::done)
            all.append(piece, 0, got);
        return all;
    }

  private:
    void turn() {
        for (int i = 0; i < 8; ++i) {
            loop_.post([this] { loop_.stop(); });
            loop_.run();
        }
    }
    // Up to STARTTLS and no further: behind it comes the handshake.
    bool hear_starttls() {
        std::string waiting(65536, '\0');
        const auto got = ::recv(socket_.get(), waiting.data(), waiting.size(), MSG_PEEK);
        waiting.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
        const size_t at = waiting.find(kStartTls);
        if (at == std::string::npos) return false;
        clear_.resize(at + kStartTls.size());
        const auto taken = ::recv(socket_.get(), clear_.data(), clear_.size(), 0);
        return taken == static_cast<ssize_t>(clear_.size());
    }

    Loop& loop_;
    UniqueFd socket_;
    std::optional<TlsSession> tls_;
    bool secured_ = false;
    std::string clear_;
};

// A TLS handshake record (RFC 8446 5.1) is what follows STARTTLS, if the server said that it may,
// and what implicit TLS begins with; nothing behind it is SMTP.
std::string_view before_tls(std::string_view sent) {
    const size_t at = sent.find(kStartTls);
    const size_t next = at == std::string_view::npos ? 0 : at + kStartTls.size();
    return sent.substr(next).starts_with("\x16\x03") ? sent.substr(0, next) : sent;
}

void inspect_lines(std::string_view sent) {
    for (size_t i = 0; i < sent.size(); ++i) {
        if (sent[i] == '\r' && i + 1 < sent.size()) check(sent[i + 1] == '\n', "no bare CR");
        if (sent[i] == '\n') check(i > 0 && sent[i - 1] == '\r', "no bare LF");
    }
}

void inspect(const Results& results) {
    for (size_t i = 0; i < results.size(); ++i) {
        if (!results.settled(i)) continue;
        const auto& result = results.list()[i];
        const auto code = result.status.code;
        const bool sent = result.outcome == ipc::RelayOutcome::sent;
        check(code >= 200 && code <= 599, "a code");
        check(sent == (code < 400), "sent means a positive reply");
        check(result.status.text.size() <= 100 * 513, "words are bounded");
        check(std::ranges::none_of(result.status.text, is_ctl), "words are printable");
        check(!result.status.enhanced.empty() && result.status.enhanced.size() <= 9, "a status");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1 || size > 100'000) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    const SessionPolicy policy = policy_of(data[0]);
    const ipc::Relay& job = job_of(std::min(data[0] / 64u, 2u));
    const Mail mail = mail_of(job);

    auto [ours, theirs] = socket_pair(SOCK_STREAM);
    set_nonblocking(ours.get());
    Loop loop;
    Server server(loop, std::move(theirs));
    const size_t end = input.find('\xfd');
    server.say(input.substr(0, end));

    Nursery nursery(loop);
    Results results(job), second_results(job);
    Connection connection(nursery, std::move(ours), hop_of(data[0]), Timeouts());
    Transaction transaction(connection, mail, results);
    Transaction second(connection, mail, second_results);
    nursery.spawn(converse(connection, policy, transaction, second));
    if (end != std::string_view::npos)
        server.say_under_tls(input.substr(end + 1), policy.implicit_tls);
    server.finish();
    loop.run();
    check(nursery.size() == 0, "the session has ended");
    const std::string clear = server.heard(), secret = server.heard_under_tls();
    inspect_lines(before_tls(clear));
    inspect_lines(secret);
    check(secret.empty() || secret.starts_with("EHLO "), "what TLS is for begins anew");
    inspect(results);
    inspect(second_results);
    return 0;
}

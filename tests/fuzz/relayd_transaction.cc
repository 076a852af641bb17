// A whole session of the relay client, from the greeting to the last reply, against a server that
// says whatever the input is. However it answers, what we send is lines that end in CRLF, and each
// recipient's result is one that queued can keep.
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "relayd/transaction.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

using namespace tambo;
using namespace tambo::relayd;

namespace {

constexpr std::string_view kContent = "From: <a@we.test>\r\nSubject: \xC3\xBC\r\n\r\n.dot\r\n"
                                      "\xC3\xBC\r\nlast";

ipc::Relay make_job() {
    ipc::Relay job;
    job.destination = "d.test";
    job.reverse_path = "a@we.test";
    job.recipients = {{0, "b@d.test"},
                      {1, "c@b\xC3\xBC"
                          "cher.test"},
                      {2, "\xC3\xB6@d.test"}};
    job.prefix = "Received: x\r\n";
    job.body = UniqueFd(::memfd_create("body", MFD_CLOEXEC));
    write_all(job.body.get(), kContent, "body");
    job.body_bytes = kContent.size();
    return job;
}

const TlsContexts& contexts() {
    static const TlsContexts both = [] {
        auto context = TlsContext::client(TlsClientConfig());
        return TlsContexts{*context, *context, false};
    }();
    return both;
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

// What was sent in clear. A TLS handshake record (RFC 8446 5.1) is what follows STARTTLS, if the
// server said that it may; nothing behind it is SMTP.
std::string_view clear_text(std::string_view sent) {
    constexpr std::string_view kStartTls = "STARTTLS\r\n";
    const size_t at = sent.find(kStartTls);
    const size_t next = at == std::string_view::npos ? sent.size() : at + kStartTls.size();
    return sent.substr(next).starts_with("\x16\x03") ? sent.substr(0, next) : sent;
}

void inspect_sent(int fd) {
    std::string sent, piece(65536, '\0');
    for (;;) {
        const auto got = ::recv(fd, piece.data(), piece.size(), MSG_DONTWAIT);
        if (got <= 0) break;
        sent.append(piece, 0, static_cast<size_t>(got));
    }
    const auto clear = clear_text(sent);
    for (size_t i = 0; i < clear.size(); ++i) {
        if (clear[i] == '\r' && i + 1 < clear.size()) check(clear[i + 1] == '\n', "no bare CR");
        if (clear[i] == '\n') check(i > 0 && clear[i - 1] == '\r', "no bare LF");
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
    static const ipc::Relay job = make_job();
    Mail mail{job,
              smtp::parse_address(job.reverse_path).value(),
              {},
              Content(job.prefix, job.body.get(), job.body_bytes),
              {}};
    for (const auto& [number, address] : job.recipients) {
        mail.recipients.push_back(smtp::parse_address(address).value());
    }
    mail.facts = mail.content.inspect();

    SessionPolicy policy;
    policy.hostname = "we.test";
    policy.starttls = data[0] & 1;
    if (data[0] & 2) policy.user = policy.password = "secret";
    if (data[0] & 4) policy.tls = conf::TlsDemand::encrypt;

    auto [ours, theirs] = socket_pair(SOCK_STREAM);
    set_nonblocking(ours.get());
    const auto sent = ::send(theirs.get(), data + 1, size - 1, MSG_DONTWAIT);
    check(sent == static_cast<ssize_t>(size - 1), "the input fits a socket");
    ::shutdown(theirs.get(), SHUT_WR);

    Loop loop;
    Nursery nursery(loop);
    Results results(job), second_results(job);
    {
        Connection connection(nursery, std::move(ours),
                              Hop{"mx.test", *net::SocketAddress::parse("127.0.0.1", 25)},
                              Timeouts());
        Transaction transaction(connection, mail, results);
        Transaction second(connection, mail, second_results);
        nursery.spawn(converse(connection, policy, transaction, second));
        loop.run();
        check(nursery.size() == 0, "the session has ended");
        inspect_sent(theirs.get());
    }
    inspect(results);
    inspect(second_results);
    return 0;
}

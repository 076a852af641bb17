// imapd or pop3d without a process: its server, an authd that answers by the name it is given, and
// clients over socket pairs that may start TLS.
#pragma once

#include "common/base/check.h"
#include "common/crypto/tls.h"
#include "common/event/loop.h"
#include "common/ipc/messages/authd.h"
#include "common/login/server.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "tests/fuzz/server_tls.h"

#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::fuzz {

// What a client sends and hears, in clear until it starts TLS.
class LoginClient {
  public:
    explicit LoginClient(UniqueFd socket) : socket_(std::move(socket)) {}

    void send(std::string_view bytes) {
        size_t sent = 0;
        if (tls_) {
            while (!bytes.empty() && secured_ && tls_->write(bytes, sent) == TlsStatus::done)
                bytes.remove_prefix(sent);
        } else {
            static_cast<void>(
                ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
        }
    }
    void receive() {
        static char buffer[65536]; // not on the stack: the sanitizer marks all of it
        size_t got = 0;
        if (tls_ && !secured_) {
            secured_ = tls_->handshake() == TlsStatus::done;
            return;
        }
        for (;;) {
            if (tls_) {
                if (tls_->read(buffer, sizeof buffer, got) != TlsStatus::done) return;
            } else {
                const ssize_t n = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
                if (n <= 0) return;
                got = static_cast<size_t>(n);
            }
            said.append(buffer, got);
        }
    }
    void start_tls() {
        static const TlsContext context = TlsContext::client({}).value();
        if (!tls_) tls_ = TlsSession::client(context, socket_.get(), {"mail.example.test", {}});
    }

    std::string said;

  private:
    UniqueFd socket_;
    std::optional<TlsSession> tls_;
    bool secured_ = false;
};

class LoginWorld {
  public:
    explicit LoginWorld(const login::Protocol& protocol)
        : service_(protocol, nursery_, authd_, random_), server_(service_),
          authd_side_(nursery_, "daemon") {
        service_.config.hostname = "mail.example.test";
        service_.config.generation_ms = INT64_MAX / 2;
        service_.config.generation_connections = INT64_MAX;
        service_.config.sessions_max = 100;
        service_.tls = server_tls(std::string(protocol.clear_door));
        authd_side_.on<ipc::ConnectionOpened>(*this, &LoginWorld::opened);
        authd_side_.on<ipc::ConnectionClosed>(*this, &LoginWorld::closed);
        authd_side_.on<ipc::SaslStart>(*this, &LoginWorld::start);
        authd_side_.on<ipc::SaslContinue>(*this, &LoginWorld::more);
        authd_side_.on<ipc::SaslAbort>(*this, &LoginWorld::abort);
        authd_side_.on<ipc::SessionEnded>(*this, &LoginWorld::ended);
        auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
        authd_.attach(std::move(ours));
        authd_side_.attach(std::move(theirs));
    }

    // Everything that was said to a client that sends this, cut at each byte 0xfe; at 0xfd it
    // starts TLS. One that begins with kUnwelcome has too many connections.
    static constexpr char kUnwelcome = '\xfc';
    std::string talk(std::string_view input) {
        unwelcome_ = input.starts_with(kUnwelcome);
        if (unwelcome_) input.remove_prefix(1);
        auto [ours, theirs] = socket_pair(SOCK_STREAM);
        set_nonblocking(ours.get());
        set_nonblocking(theirs.get());
        server_.accept(std::move(theirs), *net::SocketAddress::parse("192.0.2.7", 4711),
                       login::Door::clear);
        std::optional<LoginClient> client(std::move(ours));
        turn_some(*client);
        while (!input.empty()) {
            const size_t end = std::min(input.find_first_of("\xfe\xfd"), input.size());
            client->send(input.substr(0, end));
            turn_some(*client);
            if (end < input.size() && input[end] == '\xfd') {
                client->start_tls();
                turn_some(*client);
            }
            input.remove_prefix(std::min(end + 1, input.size()));
        }
        std::string said = std::move(client->said);
        // An alert, for a client that was to start TLS and did not.
        said.resize(std::min(said.find('\x15'), said.size()));
        client.reset();
        while (!service_.connections.empty())
            turn();
        return said;
    }

  private:
    void turn() {
        loop_.post([this] { loop_.stop(); });
        loop_.run();
    }
    void turn_some(LoginClient& client) {
        for (int i = 0; i < 8; ++i) {
            turn();
            client.receive();
        }
    }
    task<ipc::ConnectionVerdict> opened(ipc::ConnectionOpened) {
        ipc::ConnectionVerdict verdict;
        verdict.allowed = !unwelcome_;
        if (unwelcome_) verdict.reason = "too many connections";
        co_return verdict;
    }
    void closed(ipc::ConnectionClosed) {}
    void abort(ipc::SaslAbort) {}
    void ended(ipc::SessionEnded) {}
    task<ipc::SaslAnswer> start(ipc::SaslStart message) {
        check(!message.tls.empty(), "nobody logs in without TLS");
        auto answer = judge(message.has_initial ? message.initial : "c");
        co_return answer;
    }
    task<ipc::SaslAnswer> more(ipc::SaslContinue message) {
        auto answer = judge(message.data);
        co_return answer;
    }
    // By the first letter of what the client says, behind a PLAIN message's NUL.
    static ipc::SaslAnswer judge(std::string_view text) {
        const size_t at = std::min(text.find_first_not_of('\0'), text.size());
        const char letter = at < text.size() ? text[at] : ' ';
        ipc::SaslAnswer answer;
        answer.exchange = 1;
        answer.state = ipc::SaslState::refused;
        if (letter == 'a') answer.state = ipc::SaslState::accepted;
        if (letter == 'c') answer.state = ipc::SaslState::challenge;
        if (letter == 's' || letter == 't' || letter == 'u') {
            answer.state = ipc::SaslState::unavailable;
            answer.reason = letter == 's' ? "sessions" : letter == 't' ? "throttled" : "";
        }
        if (letter == 'a') answer.login = "a@example.test";
        if (letter == 'c') answer.data = "Password:";
        return answer;
    }

    bool unwelcome_ = false;
    Loop loop_;
    Nursery nursery_{loop_};
    SystemRandom random_;
    ipc::Channel authd_{nursery_, "authd"};
    login::Service service_;
    login::Server server_;
    ipc::Channel authd_side_;
};

} // namespace tambo::fuzz

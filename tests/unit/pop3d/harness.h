// An pop3d process without a process: its server, an authd that the test scripts, and clients over
// socket pairs, with or without TLS. The test turns the loop by hand.
#pragma once

#include "common/event/loop.h"
#include "common/event/nursery.h"
#include "common/ipc/messages/authd.h"
#include "common/login/server.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "pop3d/prelogin.h"
#include "tests/unit/crypto/tls_pair.h"

#include <catch2/catch.hpp>
#include <sys/socket.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::pop3d {

using login::Door;

inline void turn(Loop& loop) {
    loop.post([&loop] { loop.stop(); });
    loop.run();
}

// Answers what the test has put into its lists; keeps what it was asked.
class FakeAuthd {
  public:
    FakeAuthd(Nursery& nursery, UniqueFd socket) : channel_(nursery, "pop3d.1") {
        channel_.on<ipc::ConnectionOpened>(*this, &FakeAuthd::opened);
        channel_.on<ipc::ConnectionClosed>(*this, &FakeAuthd::closed);
        channel_.on<ipc::SaslStart>(*this, &FakeAuthd::start);
        channel_.on<ipc::SaslContinue>(*this, &FakeAuthd::more);
        channel_.on<ipc::SaslAbort>(*this, &FakeAuthd::abort);
        channel_.on<ipc::SessionEnded>(*this, &FakeAuthd::ended);
        channel_.attach(std::move(socket));
    }
    void answer(ipc::SaslState state, std::string data = "", std::string reason = "") {
        ipc::SaslAnswer a;
        a.state = state;
        a.exchange = 77;
        a.data = std::move(data);
        a.reason = std::move(reason);
        if (state == ipc::SaslState::accepted) a.login = "alice@example.test";
        answers.push_back(std::move(a));
    }
    void drop() { channel_.drop("test"); }

    std::deque<ipc::SaslAnswer> answers;
    ipc::SaslState without_answers = ipc::SaslState::unavailable;
    ipc::ConnectionVerdict verdict;
    std::vector<ipc::SaslStart> starts;
    std::vector<std::string> responses;
    std::vector<std::string> ended_sids;
    int opened_count = 0, closed_count = 0, aborts = 0;

  private:
    task<ipc::ConnectionVerdict> opened(ipc::ConnectionOpened) {
        ++opened_count;
        co_return verdict;
    }
    void closed(ipc::ConnectionClosed) { ++closed_count; }
    task<ipc::SaslAnswer> start(ipc::SaslStart message) {
        starts.push_back(std::move(message));
        co_return next();
    }
    task<ipc::SaslAnswer> more(ipc::SaslContinue message) {
        responses.push_back(std::move(message.data));
        co_return next();
    }
    void abort(ipc::SaslAbort) { ++aborts; }
    void ended(ipc::SessionEnded message) { ended_sids.push_back(std::move(message.sid)); }
    ipc::SaslAnswer next() {
        if (answers.empty()) {
            ipc::SaslAnswer none;
            none.state = without_answers;
            return none;
        }
        auto answer = std::move(answers.front());
        answers.pop_front();
        return answer;
    }

    ipc::Channel channel_;
};

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
        tls_ = TlsSession::client(test::client_context(TlsVerify::required, std::move(alpn)),
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

struct Fixture {
    Fixture()
        : authd_channel(nursery, "authd"), service(kProtocol, nursery, authd_channel, random) {
        auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
        authd_channel.attach(std::move(ours));
        authd.emplace(nursery, std::move(theirs));
        service.config.hostname = "mail.example.test";
        service.config.generation_ms = 600'000;
        service.config.generation_connections = 512;
        service.config.sessions_max = 2000;
        auto tls = test::server_config(test::ec_key());
        tls.service = "pop3";
        tls.alpn = {"pop3"};
        service.tls = test::server_context(tls);
        server.emplace(service);
    }
    ~Fixture() {
        service.on_connection_ended = nullptr;
        nursery.cancel();
    }
    Fixture(const Fixture&) = delete;

    std::unique_ptr<Client> connect(Door door = Door::clear, const char* ip = "192.0.2.7") {
        auto [ours, theirs] = socket_pair(SOCK_STREAM);
        set_nonblocking(ours.get());
        set_nonblocking(theirs.get());
        server->accept(std::move(theirs), *net::SocketAddress::parse(ip, 4711), door);
        return std::make_unique<Client>(loop, std::move(ours));
    }
    std::unique_ptr<Client> connect_tls() {
        auto client = connect(Door::tls);
        REQUIRE(client->start_tls());
        client->settle();
        return client;
    }
    // A client whose login was accepted, and the end that the account process would have.
    std::unique_ptr<Client> log_in(std::optional<Client>& session) {
        auto client = connect_tls();
        authd->answer(ipc::SaslState::accepted);
        client->received.clear();
        client->send("USER alice\r\nPASS secret\r\n");
        client->settle();
        REQUIRE(client->said() == "+OK send PASS\r\n");
        REQUIRE(authd->starts.size() >= 1);
        auto fd = std::move(authd->starts.back().session);
        REQUIRE(fd.valid());
        set_nonblocking(fd.get());
        session.emplace(loop, std::move(fd));
        return client;
    }

    // Until what was told to authd has come there.
    void turn_some() {
        for (int i = 0; i < 10; ++i)
            turn(loop);
    }

    Loop loop;
    Nursery nursery{loop};
    SystemRandom random;
    ipc::Channel authd_channel;
    std::optional<FakeAuthd> authd;
    login::Service service;
    std::optional<login::Server> server;
};

inline const std::string kGreeting = "+OK mail.example.test Tambo ready\r\n";

} // namespace tambo::pop3d

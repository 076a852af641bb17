// POP3 sessions over socket pairs on a store of their own, all in this process: the test is the
// client and turns the loop by hand.
#pragma once

#include "common/event/loop.h"
#include "common/event/nursery.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "pop3d/session/session.h"
#include "tests/unit/store/fixture.h"

#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

namespace tambo::pop3 {

inline void turn(Loop& loop) {
    loop.post([&loop] { loop.stop(); });
    loop.run();
}

class TestClient {
  public:
    TestClient(Loop& loop, Nursery& nursery, store::Account& account) : loop_(loop) {
        auto [ours, theirs] = socket_pair(SOCK_STREAM);
        set_nonblocking(ours.get());
        socket_ = std::move(ours);
        nursery.spawn(serve_pop3(nursery, std::move(theirs), account, SessionSettings{}));
    }

    // As much as the session takes now.
    size_t send(std::string_view bytes) {
        const ssize_t n = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        return n > 0 ? static_cast<size_t>(n) : 0;
    }
    // Reads once what has come, at most max bytes; whether something had.
    bool take(size_t max = 65536) {
        std::string buffer(max, '\0');
        const ssize_t n = ::recv(socket_.get(), buffer.data(), max, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN)) closed = true;
        if (n <= 0) return false;
        received.append(buffer, 0, static_cast<size_t>(n));
        return true;
    }
    // One turn of the loop. Whether something came.
    bool turn_once() {
        turn(loop_);
        bool some = false;
        while (take())
            some = true;
        return some;
    }
    // A session has answered by then, also one that lets others have their turn first.
    static constexpr int kQuietTurns = 16;
    void settle() {
        for (int quiet = 0; quiet < kQuietTurns; ++quiet) {
            if (turn_once()) quiet = 0;
        }
    }
    // What came in answer to the bytes.
    std::string ask(std::string_view bytes) {
        received.clear();
        send(bytes);
        settle();
        return received;
    }
    // What came since the last question.
    std::string said() {
        settle();
        return std::exchange(received, "");
    }
    void hang_up() { socket_.reset(); }
    // TLS ends in pop3d.
    static bool start_tls() { return false; }

    std::string received;
    bool closed = false;

  private:
    Loop& loop_;
    UniqueFd socket_;
};

struct SessionFixture : store::Fixture {
    ~SessionFixture() { nursery.cancel(); }
    std::unique_ptr<TestClient> connect() {
        return std::make_unique<TestClient>(loop, nursery, *account);
    }
    // With its greeting taken.
    std::unique_ptr<TestClient> log_in() {
        auto client = connect();
        client->settle();
        REQUIRE(client->received.starts_with("+OK maildrop ready, "));
        client->received.clear();
        return client;
    }
    // Until no session is left, whose clients are gone.
    void wait_for_end() {
        for (int i = 0; i < 1000 && nursery.size() > 0; ++i)
            turn(loop);
        REQUIRE(nursery.size() == 0);
    }
    std::string email_id(uint32_t uid) {
        auto aux = account->read_aux(*select(), std::span<const uint32_t>(&uid, 1));
        REQUIRE(aux.ok());
        REQUIRE(aux->size() == 1);
        return aux->front().email_id.text();
    }

    Loop loop;
    Nursery nursery{loop};
};

} // namespace tambo::pop3

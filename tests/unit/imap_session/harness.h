// Sessions over socket pairs on a store of their own, all in this process: the test is the client
// and turns the loop by hand.
#pragma once

#include "common/event/loop.h"
#include "common/event/nursery.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "imapd/session/facts.h"
#include "imapd/session/session.h"
#include "tests/unit/store/fixture.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <string_view>

namespace tambo::imap {

// One turn of the loop: everything that is ready runs, nothing is waited for.
inline void turn(Loop& loop) {
    loop.post([&loop] { loop.stop(); });
    loop.run();
}

class TestClient {
  public:
    TestClient(Loop& loop, Nursery& nursery, store::Account& account, SessionSettings settings)
        : loop_(loop) {
        auto [ours, theirs] = socket_pair(SOCK_STREAM);
        set_nonblocking(ours.get());
        socket_ = std::move(ours);
        nursery.spawn(serve_imap(nursery, std::move(theirs), account, std::move(settings)));
    }

    // Everything now, or as much as the session takes.
    void send(std::string_view bytes) {
        for (int tries = 0; !bytes.empty() && tries < 100'000; ++tries) {
            const ssize_t n =
                ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
            if (n <= 0 && errno != EAGAIN) return;
            if (!bytes.empty()) {
                turn(loop_);
                take();
            }
        }
    }
    // Reads what has come. Returns whether something had.
    bool take() {
        static char buffer[65536]; // not on the stack: the sanitizer marks all of it
        bool some = false;
        for (;;) {
            const ssize_t n = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
            if (n == 0) closed = true;
            if (n <= 0) return some;
            received.append(buffer, static_cast<size_t>(n));
            some = true;
        }
    }
    // One turn of the loop. Whether something came.
    bool turn_once() {
        turn(loop_);
        return take();
    }
    // A session has answered by then, also one that lets others have their turn first.
    static constexpr int kQuietTurns = 16;
    // Turns the loop until nothing has come for so many turns: a session that works for long
    // pauses for a turn at times.
    void settle(int turns = kQuietTurns) {
        for (int quiet = 0; quiet < turns; ++quiet) {
            if (turn_once()) quiet = 0;
        }
    }
    // What came in answer to the bytes.
    std::string ask(std::string_view bytes) {
        received.clear();
        send(bytes);
        settle(80);
        return received;
    }
    void hang_up() { ::shutdown(socket_.get(), SHUT_RDWR); }
    // TLS ends in imapd.
    static bool start_tls() { return false; }
    int fd() const { return socket_.get(); }

    std::string received;
    bool closed = false;

  private:
    Loop& loop_;
    UniqueFd socket_;
};

struct SessionFixture : store::Fixture {
    SessionFixture() {
        options.facts = kFactsParser;
        settings.message_bytes_max = 1u << 20;
        open();
    }
    ~SessionFixture() { nursery.cancel(); }
    std::unique_ptr<TestClient> connect(std::string login_tag = "") {
        settings.login_tag = std::move(login_tag);
        return std::make_unique<TestClient>(loop, nursery, *account, settings);
    }

    Loop loop;
    Nursery nursery{loop};
    SessionSettings settings;
};

} // namespace tambo::imap

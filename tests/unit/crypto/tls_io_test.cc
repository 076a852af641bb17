// Sessions over wires that are slow, full or cut: every wait, and every way to close.

#include "common/crypto/tls.h"

#include "common/base/text.h"
#include "tests/unit/crypto/tls_pair.h"

#include <algorithm>

using namespace tambo;
using namespace tambo::test;

namespace {

const TlsContext& context_of(KeyType type) {
    static const auto ec = server_context(server_config(ec_key()));
    static const auto rsa = server_context(server_config(rsa_key()));
    return type == KeyType::rsa ? rsa : ec;
}

// Both sessions on wires of their own; the test carries the bytes.
struct SlowPair {
    SocketPair left, right;
    TlsSession server, client;
    size_t carried = 0;

    explicit SlowPair(const TlsContext& context)
        : server(TlsSession::server(context, left.left.get())),
          client(TlsSession::client(
              client_context(), right.left.get(), {"mail.example.test", {"mail.example.test"}})) {}

    // Up to count bytes in each direction.
    void carry_bytes(size_t count) {
        const std::pair<int, int> directions[] = {{left.right.get(), right.right.get()},
                                                  {right.right.get(), left.right.get()}};
        for (const auto& [from, to] : directions) {
            std::string buffer(count, '\0');
            const auto n = ::recv(from, buffer.data(), count, 0);
            if (n <= 0) continue;
            REQUIRE(::send(to, buffer.data(), static_cast<size_t>(n), 0) == n);
            carried += static_cast<size_t>(n);
        }
    }
};

// Bytes of no meaning that fill a socket's send buffer, and their number.
size_t stuff(int fd) {
    size_t total = 0;
    const std::string junk(512, 'j');
    for (;;) {
        const auto n = ::send(fd, junk.data(), junk.size(), MSG_DONTWAIT);
        if (n <= 0) break;
        total += static_cast<size_t>(n);
    }
    // The kernel counts in its own units: fill the rest byte by byte.
    while (::send(fd, "j", 1, MSG_DONTWAIT) == 1)
        ++total;
    return total;
}

void discard(int fd, size_t count) {
    std::string buffer(4096, '\0');
    while (count > 0) {
        const auto n = ::recv(fd, buffer.data(), std::min(count, buffer.size()), 0);
        REQUIRE(n > 0);
        REQUIRE(std::all_of(buffer.begin(), buffer.begin() + n, [](char c) { return c == 'j'; }));
        count -= static_cast<size_t>(n);
    }
}

std::string pattern(size_t bytes) {
    std::string out(bytes, '\0');
    for (size_t i = 0; i < bytes; ++i)
        out[i] = static_cast<char>(i * 7 + i / 251);
    return out;
}

} // namespace

TEST_CASE("a handshake and data in steps of 1, 2, 7 and 100 bytes") {
    for (const auto type : {KeyType::ec_p256, KeyType::rsa}) {
        for (const size_t step : {1, 2, 7, 100}) {
            SlowPair pair(context_of(type));
            auto server = TlsStatus::want_read, client = TlsStatus::want_read;
            size_t waits = 0;
            for (int i = 0; i < 20'000 && (TlsPair::waits(server) || TlsPair::waits(client)); ++i) {
                if (TlsPair::waits(client)) client = pair.client.handshake();
                if (TlsPair::waits(server)) server = pair.server.handshake();
                waits += (server == TlsStatus::want_read) + (client == TlsStatus::want_read);
                pair.carry_bytes(step);
            }
            REQUIRE(server == TlsStatus::done);
            REQUIRE(client == TlsStatus::done);
            CHECK(pair.client.info().peer_verified);
            if (step == 1) CHECK(waits * 2 > pair.carried); // it stopped at nearly every byte

            size_t sent = 0, got = 0;
            char buffer[64];
            REQUIRE(pair.client.write("slow but sure", sent) == TlsStatus::done);
            REQUIRE(sent == 13);
            std::string received;
            for (int i = 0; i < 1000 && received.size() < sent; ++i) {
                pair.carry_bytes(step);
                const auto status = pair.server.read(buffer, sizeof buffer, got);
                if (status == TlsStatus::done)
                    received.append(buffer, got);
                else
                    REQUIRE(status == TlsStatus::want_read);
            }
            CHECK(received == "slow but sure");
        }
    }
}

TEST_CASE("a full socket at every step of the handshake makes it wait for writability") {
    SlowPair pair(context_of(KeyType::rsa));
    int full_client = 0, full_server = 0;
    auto server = TlsStatus::want_read, client = TlsStatus::want_read;
    const auto step = [](TlsSession& session, int near_fd, int far_fd, TlsStatus& status,
                         int& full) {
        if (!TlsPair::waits(status)) return;
        const size_t junk = stuff(near_fd);
        status = session.handshake();
        if (status == TlsStatus::want_write) ++full;
        discard(far_fd, junk);
        for (int i = 0; i < 10 && status == TlsStatus::want_write; ++i)
            status = session.handshake();
    };
    for (int i = 0; i < 50 && (TlsPair::waits(server) || TlsPair::waits(client)); ++i) {
        step(pair.client, pair.right.left.get(), pair.right.right.get(), client, full_client);
        pair.carry_bytes(65536);
        step(pair.server, pair.left.left.get(), pair.left.right.get(), server, full_server);
        pair.carry_bytes(65536);
    }
    CHECK(server == TlsStatus::done);
    CHECK(client == TlsStatus::done);
    CHECK(full_client >= 2); // ClientHello, Finished
    CHECK(full_server >= 1); // ServerHello to Finished
}

TEST_CASE("a megabyte through the smallest socket buffers, and a write that is repeated") {
    TlsPair pair(context_of(KeyType::ec_p256), client_context());
    pair.require_handshake();
    const int tiny = 1;
    for (const int fd : {pair.sockets.left.get(), pair.sockets.right.get()}) {
        ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &tiny, sizeof tiny);
        ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof tiny);
    }
    const auto text = pattern(1 << 20);
    std::string received;
    std::vector<char> buffer(3000);
    size_t at = 0, waits = 0;
    for (int i = 0; i < 100'000 && received.size() < text.size(); ++i) {
        if (at < text.size()) {
            // Elsewhere in memory and longer at each attempt, as a growing output buffer is.
            const std::string copy = text.substr(at, 20'000 + static_cast<size_t>(i) * 10);
            size_t sent = 0;
            const auto status = pair.server.write(copy, sent);
            if (status == TlsStatus::done) {
                REQUIRE(sent > 0);
                REQUIRE(sent <= copy.size());
                at += sent;
            } else {
                REQUIRE(status == TlsStatus::want_write);
                REQUIRE(sent == 0);
                ++waits;
            }
        }
        size_t got = 0;
        if (pair.client.read(buffer.data(), buffer.size(), got) == TlsStatus::done) {
            received.append(buffer.data(), got);
        }
    }
    CHECK(received == text);
    CHECK(waits > 50);
}

TEST_CASE("pending tells of decrypted bytes that no socket will announce") {
    TlsPair pair(context_of(KeyType::ec_p256), client_context());
    pair.require_handshake();
    size_t sent = 0, got = 0;
    REQUIRE(pair.client.write("0123456789", sent) == TlsStatus::done);
    char buffer[4];
    CHECK_FALSE(pair.server.pending());
    REQUIRE(pair.server.read(buffer, 4, got) == TlsStatus::done);
    CHECK(std::string_view(buffer, got) == "0123");
    CHECK(pair.server.pending());
    REQUIRE(pair.server.read(buffer, 4, got) == TlsStatus::done);
    REQUIRE(pair.server.read(buffer, 4, got) == TlsStatus::done);
    CHECK(std::string_view(buffer, got) == "89");
    CHECK_FALSE(pair.server.pending());
    CHECK(pair.server.read(buffer, 4, got) == TlsStatus::want_read);
    CHECK(pair.server.write("", sent) == TlsStatus::done);
    CHECK(sent == 0);
}

TEST_CASE("close_notify is a clean close; the other direction still works") {
    TlsPair pair(context_of(KeyType::ec_p256), client_context());
    pair.require_handshake();
    size_t sent = 0, got = 0;
    char buffer[64];
    REQUIRE(pair.client.write("QUIT\r\n", sent) == TlsStatus::done);
    CHECK(pair.client.shutdown() == TlsStatus::done);
    CHECK(pair.client.shutdown() == TlsStatus::done); // once is enough
    REQUIRE(pair.server.read(buffer, sizeof buffer, got) == TlsStatus::done);
    CHECK(pair.server.read(buffer, sizeof buffer, got) == TlsStatus::closed);
    CHECK(pair.server.clean_close());
    CHECK(pair.server.error().empty());
    CHECK(pair.server.write("bye\r\n", sent) == TlsStatus::done);
    REQUIRE(pair.client.read(buffer, sizeof buffer, got) == TlsStatus::done);
    CHECK(std::string_view(buffer, got) == "bye\r\n");
    CHECK(pair.server.shutdown() == TlsStatus::done);
    CHECK(pair.client.read(buffer, sizeof buffer, got) == TlsStatus::closed);
    CHECK(pair.client.clean_close());
}

TEST_CASE("a connection that is dropped is a close that is not clean") {
    TlsPair pair(context_of(KeyType::ec_p256), client_context());
    pair.require_handshake();
    size_t sent = 0, got = 0;
    char buffer[64];
    REQUIRE(pair.client.write("BDAT 1000\r\n", sent) == TlsStatus::done);
    pair.sockets.right.reset();
    REQUIRE(pair.server.read(buffer, sizeof buffer, got) == TlsStatus::done);
    CHECK(pair.server.read(buffer, sizeof buffer, got) == TlsStatus::closed);
    CHECK_FALSE(pair.server.clean_close());
    CHECK(pair.server.write("x", sent) == TlsStatus::closed);
    CHECK(pair.server.shutdown() == TlsStatus::done);
}

TEST_CASE("writing to a peer that is gone is a close, not a signal") {
    TlsPair pair(context_of(KeyType::ec_p256), client_context());
    pair.require_handshake();
    pair.sockets.right.reset();
    size_t sent = 0;
    CHECK(pair.server.write("x", sent) == TlsStatus::closed);
    CHECK_FALSE(pair.server.clean_close());
}

TEST_CASE("bytes damaged on the way fail the session for good") {
    SlowPair pair(context_of(KeyType::ec_p256));
    auto server = TlsStatus::want_read, client = TlsStatus::want_read;
    for (int i = 0; i < 50 && (TlsPair::waits(server) || TlsPair::waits(client)); ++i) {
        if (TlsPair::waits(client)) client = pair.client.handshake();
        pair.carry_bytes(65536);
        if (TlsPair::waits(server)) server = pair.server.handshake();
        pair.carry_bytes(65536);
    }
    REQUIRE(server == TlsStatus::done);
    size_t sent = 0, got = 0;
    char buffer[256];
    REQUIRE(pair.client.write("secret", sent) == TlsStatus::done);
    const auto n = ::recv(pair.right.right.get(), buffer, sizeof buffer, 0);
    REQUIRE(n > 10);
    buffer[n - 1] = static_cast<char>(buffer[n - 1] ^ 1);
    REQUIRE(::send(pair.left.right.get(), buffer, static_cast<size_t>(n), 0) == n);
    CHECK(pair.server.read(buffer, sizeof buffer, got) == TlsStatus::failed);
    CHECK(pair.server.error() == "decryption failed or bad record mac");
    CHECK(pair.server.read(buffer, sizeof buffer, got) == TlsStatus::failed);
    CHECK(pair.server.write("x", sent) == TlsStatus::failed);
    CHECK(pair.server.shutdown() == TlsStatus::done);
}

TEST_CASE("a session that never began can be shut down and destroyed") {
    SocketPair sockets;
    auto session = TlsSession::server(context_of(KeyType::ec_p256), sockets.left.get());
    CHECK(session.shutdown() == TlsStatus::done);
    CHECK_FALSE(session.pending());
    CHECK_FALSE(session.channel_binding());
    CHECK(session.info().version.empty());
}

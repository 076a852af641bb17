// Two TLS sessions over a socket pair, with a wire in the middle that the test controls.
#pragma once

#include "common/base/unique_fd.h"
#include "common/crypto/issue.h"
#include "common/crypto/key_ring.h"
#include "common/crypto/tls.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::test {

// November 2023. OpenSSL asks the real clock: certificates made here are valid for a century.
inline constexpr UtcTime kStart = UtcTime{1'700'000'000'000};

// One of each, because RSA keys take time to make.
inline const PrivateKey& rsa_key() {
    static const PrivateKey key = PrivateKey::generate(KeyType::rsa);
    return key;
}
inline const PrivateKey& ec_key() {
    static const PrivateKey key = PrivateKey::generate(KeyType::ec_p256);
    return key;
}
inline const PrivateKey& p384_key() {
    static const PrivateKey key = PrivateKey::generate(KeyType::ec_p384);
    return key;
}
inline const CertificateAuthority& authority() {
    static const auto ca = CertificateAuthority::create("Test CA", kStart, 36'500);
    return ca;
}
inline std::string issue(const PrivateKey& key,
                         std::vector<std::string> names,
                         std::vector<std::string> addresses = {}) {
    CertificateSpec spec{std::move(names), std::move(addresses), kStart, 36'000};
    return std::move(authority().issue(key, spec)).value();
}

inline std::shared_ptr<KeyRing> ring_of(const PrivateKey& key, uint32_t id = 1) {
    auto ring = std::make_shared<KeyRing>();
    ring->add(id, key);
    return ring;
}

inline TlsServerConfig server_config(const PrivateKey& key,
                                     std::vector<std::string> names = {"mail.example.test"}) {
    TlsServerConfig config;
    config.service = "imap";
    config.alpn = {"imap"};
    config.certificates = {{issue(key, std::move(names), {"127.0.0.1"}), 1}};
    config.signer = ring_of(key);
    return config;
}

inline TlsContext server_context(const TlsServerConfig& config) {
    auto context = TlsContext::server(config);
    if (!context) FAIL(context.error());
    return std::move(context).value();
}

inline TlsContext client_context(TlsVerify verify = TlsVerify::required,
                                 std::vector<std::string> alpn = {}) {
    auto context = TlsContext::client({verify, authority().certificate_pem(), std::move(alpn)});
    if (!context) FAIL(context.error());
    return std::move(context).value();
}

struct SocketPair {
    UniqueFd left, right;

    SocketPair() {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        left.reset(fds[0]);
        right.reset(fds[1]);
    }
};

// Server on the left, client on the right.
struct TlsPair {
    SocketPair sockets;
    TlsSession server, client;

    TlsPair(const TlsContext& server_side,
            const TlsContext& client_side,
            const TlsPeer& peer = {"mail.example.test", {"mail.example.test"}})
        : server(TlsSession::server(server_side, sockets.left.get())),
          client(TlsSession::client(client_side, sockets.right.get(), peer)) {}

    struct Outcome {
        TlsStatus server, client;
    };
    static bool waits(TlsStatus status) {
        return status == TlsStatus::want_read || status == TlsStatus::want_write;
    }
    // Until both have an answer, or neither can go on.
    Outcome handshake() {
        Outcome outcome{TlsStatus::want_read, TlsStatus::want_read};
        for (int i = 0; i < 100 && (waits(outcome.server) || waits(outcome.client)); ++i) {
            if (waits(outcome.client)) outcome.client = client.handshake();
            if (waits(outcome.server)) outcome.server = server.handshake();
        }
        return outcome;
    }
    void require_handshake() {
        const auto outcome = handshake();
        INFO("server: " << server.error() << ", client: " << client.error());
        REQUIRE(outcome.server == TlsStatus::done);
        REQUIRE(outcome.client == TlsStatus::done);
    }
};

// All of text from one session to the other.
inline std::string carry(TlsSession& from, TlsSession& to, std::string_view text) {
    std::string out;
    size_t at = 0;
    char buffer[5000];
    for (int i = 0; i < 100'000 && out.size() < text.size(); ++i) {
        size_t sent = 0;
        if (at < text.size() && from.write(text.substr(at), sent) == TlsStatus::done) at += sent;
        size_t got = 0;
        while (to.read(buffer, sizeof buffer, got) == TlsStatus::done)
            out.append(buffer, got);
    }
    return out;
}

} // namespace tambo::test

// The other end as plain OpenSSL, for what our own sessions never do: other versions, odd names,
// renegotiation, floods.
#pragma once

#include "common/crypto/openssl.h"
#include "tests/unit/crypto/tls_pair.h"

#include <openssl/err.h>

#include <string>
#include <string_view>

namespace tambo::test {

struct RawTls {
    openssl::SslContext context;
    openssl::Ssl ssl;

    explicit RawTls(const SSL_METHOD* method) : context(SSL_CTX_new(method)) {
        REQUIRE(context != nullptr);
        SSL_CTX_set_security_level(context.get(), 0);
    }
    void only_version(int version) {
        REQUIRE(SSL_CTX_set_min_proto_version(context.get(), version) == 1);
        REQUIRE(SSL_CTX_set_max_proto_version(context.get(), version) == 1);
    }
    // Ends the configuration of context.
    void attach(int fd) {
        ssl.reset(SSL_new(context.get()));
        REQUIRE(SSL_set_fd(ssl.get(), fd) == 1);
    }
    bool waits(int result) const {
        const int error = SSL_get_error(ssl.get(), result);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    }
};

struct RawClient : RawTls {
    RawClient() : RawTls(TLS_client_method()) {}
    void attach(int fd) {
        RawTls::attach(fd);
        SSL_set_connect_state(ssl.get());
    }
    // Any bytes without NUL, at most 255.
    void set_sni(std::string name) {
        REQUIRE(SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                         name.data()) == 1);
    }
    // DER of the peer's certificate, hashed as in TlsInfo and Certificate.
    std::string peer_fingerprint() const {
        unsigned char hash[EVP_MAX_MD_SIZE];
        unsigned length = 0;
        X509* peer = SSL_get0_peer_certificate(ssl.get());
        REQUIRE(peer != nullptr);
        X509_digest(peer, EVP_sha256(), hash, &length);
        return to_hex({reinterpret_cast<const char*>(hash), length});
    }
};

struct RawServer : RawTls {
    RawServer(const PrivateKey& key, const std::string& certificate_pem)
        : RawTls(TLS_server_method()) {
        const auto bio = openssl::memory_bio(certificate_pem);
        openssl::X509Cert x509(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
        REQUIRE(SSL_CTX_use_certificate(context.get(), x509.get()) == 1);
        REQUIRE(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1);
    }
    void attach(int fd) {
        RawTls::attach(fd);
        SSL_set_accept_state(ssl.get());
    }
};

// Our session and a raw one, until both have finished or failed. The raw one's result: 1 good.
struct MixedOutcome {
    TlsStatus ours;
    int raw;
    std::string raw_error;
};
inline MixedOutcome handshake(TlsSession& ours, RawTls& raw) {
    MixedOutcome outcome{TlsStatus::want_read, -1, ""};
    bool raw_goes_on = true;
    for (int i = 0; i < 100 && (raw_goes_on || TlsPair::waits(outcome.ours)); ++i) {
        if (raw_goes_on) {
            ERR_clear_error();
            outcome.raw = SSL_do_handshake(raw.ssl.get());
            raw_goes_on = outcome.raw != 1 && raw.waits(outcome.raw);
            if (outcome.raw != 1 && !raw_goes_on) outcome.raw_error = openssl::take_error("closed");
        }
        if (TlsPair::waits(outcome.ours)) outcome.ours = ours.handshake();
    }
    return outcome;
}

} // namespace tambo::test

// Handshakes between our own sessions, through the provider: what is negotiated, how the server is
// verified, how contexts are replaced.

#include "common/crypto/tls.h"

#include "common/base/text.h"
#include "common/crypto/certificate.h"
#include "tests/unit/crypto/raw_tls.h"
#include "tests/unit/crypto/tls_pair.h"

#include <algorithm>

using namespace tambo;
using namespace tambo::test;

namespace {

constexpr int64_t kDay = 86'400'000;

std::string fingerprint_of(const std::string& chain_pem) {
    return parse_certificate_chain(chain_pem)->front().fingerprint;
}

// Passes on to a ring and remembers what was asked.
class RecordingSigner final : public KeySigner {
  public:
    explicit RecordingSigner(std::shared_ptr<KeySigner> to) : to_(std::move(to)) {}
    Result<std::string> sign(const SignRequest& request) override {
        kinds.push_back(request.kind);
        schemes.push_back(request.scheme);
        return to_->sign(request);
    }
    std::vector<SignKind> kinds;
    std::vector<SignScheme> schemes;

  private:
    std::shared_ptr<KeySigner> to_;
};

class FixedSigner final : public KeySigner {
  public:
    explicit FixedSigner(Result<std::string> answer) : answer_(std::move(answer)) {}
    Result<std::string> sign(const SignRequest&) override { return answer_; }

  private:
    Result<std::string> answer_;
};

} // namespace

TEST_CASE("tls: a handshake with each type of key, and what both sides know after it") {
    for (const PrivateKey* key : {&ec_key(), &rsa_key(), &p384_key()}) {
        const auto config = server_config(*key);
        TlsPair pair(server_context(config), client_context());
        CHECK(pair.server.info().version.empty());
        CHECK_FALSE(pair.client.channel_binding());
        pair.require_handshake();
        for (const auto& info : {pair.server.info(), pair.client.info()}) {
            CHECK(info.version == "TLSv1.3");
            CHECK(info.cipher == "TLS_AES_128_GCM_SHA256");
            CHECK(info.cipher_bits == 128);
            CHECK(info.group == "x25519");
            CHECK(info.alpn.empty());
        }
        CHECK(pair.server.info().sni == "mail.example.test");
        CHECK_FALSE(pair.server.info().peer_verified);
        CHECK(pair.client.info().peer_verified);
        CHECK(pair.client.info().verify_error.empty());
        CHECK(pair.client.info().peer_fingerprint ==
              fingerprint_of(config.certificates[0].chain_pem));
        CHECK(carry(pair.client, pair.server, "a1 NOOP\r\n") == "a1 NOOP\r\n");
        CHECK(carry(pair.server, pair.client, "a1 OK\r\n") == "a1 OK\r\n");
        CHECK(pair.server.handshake() == TlsStatus::done); // again: nothing to do
    }
}

TEST_CASE("tls: every signature scheme of both versions goes through the signer") {
    struct Case {
        const PrivateKey& key;
        int version;
        const char* schemes;
        SignScheme expected;
    };
    const Case cases[] = {
        {rsa_key(), TLS1_3_VERSION, "rsa_pss_rsae_sha256", SignScheme::rsa_pss_rsae_sha256},
        {rsa_key(), TLS1_3_VERSION, "rsa_pss_rsae_sha384", SignScheme::rsa_pss_rsae_sha384},
        {rsa_key(), TLS1_3_VERSION, "rsa_pss_rsae_sha512", SignScheme::rsa_pss_rsae_sha512},
        {ec_key(), TLS1_3_VERSION, "ecdsa_secp256r1_sha256", SignScheme::ecdsa_sha256},
        {p384_key(), TLS1_3_VERSION, "ecdsa_secp384r1_sha384:ecdsa_secp256r1_sha256",
         SignScheme::ecdsa_sha384},
        {rsa_key(), TLS1_2_VERSION, "RSA+SHA256", SignScheme::rsa_pkcs1_sha256},
        {rsa_key(), TLS1_2_VERSION, "RSA+SHA384", SignScheme::rsa_pkcs1_sha384},
        {rsa_key(), TLS1_2_VERSION, "RSA+SHA512", SignScheme::rsa_pkcs1_sha512},
        {rsa_key(), TLS1_2_VERSION, "rsa_pss_rsae_sha256", SignScheme::rsa_pss_rsae_sha256},
        {rsa_key(), TLS1_2_VERSION, "rsa_pss_rsae_sha384", SignScheme::rsa_pss_rsae_sha384},
        {rsa_key(), TLS1_2_VERSION, "rsa_pss_rsae_sha512", SignScheme::rsa_pss_rsae_sha512},
        {ec_key(), TLS1_2_VERSION, "ECDSA+SHA256", SignScheme::ecdsa_sha256},
        {ec_key(), TLS1_2_VERSION, "ECDSA+SHA384", SignScheme::ecdsa_sha384},
        {p384_key(), TLS1_2_VERSION, "ECDSA+SHA384", SignScheme::ecdsa_sha384},
    };
    for (const auto& c : cases) {
        INFO(c.schemes << ", version " << c.version);
        auto config = server_config(c.key);
        auto signer = std::make_shared<RecordingSigner>(config.signer);
        config.signer = signer;
        SocketPair sockets;
        auto server = TlsSession::server(server_context(config), sockets.left.get());
        RawClient client;
        client.only_version(c.version);
        REQUIRE(SSL_CTX_set1_sigalgs_list(client.context.get(), c.schemes) == 1);
        client.attach(sockets.right.get());
        const auto outcome = handshake(server, client);
        INFO(server.error() << "; " << outcome.raw_error);
        CHECK(outcome.ours == TlsStatus::done);
        CHECK(outcome.raw == 1);
        CHECK(signer->schemes == std::vector<SignScheme>{c.expected});
        CHECK(signer->kinds == std::vector<SignKind>{c.version == TLS1_3_VERSION
                                                         ? SignKind::tls13_certificate_verify
                                                         : SignKind::tls12_server_key_exchange});
    }
}

TEST_CASE("tls: our client talks to a server of TLS 1.2") {
    for (const PrivateKey* key : {&ec_key(), &rsa_key()}) {
        SocketPair sockets;
        RawServer server(*key, issue(*key, {"mail.example.test"}));
        server.only_version(TLS1_2_VERSION);
        server.attach(sockets.left.get());
        auto client = TlsSession::client(client_context(), sockets.right.get(),
                                         {"mail.example.test", {"mail.example.test"}});
        const auto outcome = handshake(client, server);
        REQUIRE(outcome.ours == TlsStatus::done);
        CHECK(client.info().version == "TLSv1.2");
        CHECK(client.info().group == "x25519");
        CHECK(client.info().peer_verified);
        CHECK(client.channel_binding()); // extended master secret
    }
}

TEST_CASE("tls: certificates of both key types for one name: the client's schemes decide") {
    TlsServerConfig config = server_config(ec_key());
    config.certificates.push_back({issue(rsa_key(), {"mail.example.test"}, {"127.0.0.1"}), 2});
    auto ring = ring_of(ec_key());
    ring->add(2, rsa_key());
    config.signer = ring;
    const auto context = server_context(config);
    for (const bool rsa : {false, true}) {
        SocketPair sockets;
        auto server = TlsSession::server(context, sockets.left.get());
        RawClient client;
        SSL_CTX_set1_sigalgs_list(client.context.get(),
                                  rsa ? "rsa_pss_rsae_sha256" : "ecdsa_secp256r1_sha256");
        client.attach(sockets.right.get());
        client.set_sni("mail.example.test");
        CHECK(handshake(server, client).raw == 1);
        CHECK(client.peer_fingerprint() ==
              fingerprint_of(config.certificates[rsa ? 1 : 0].chain_pem));
    }
}

TEST_CASE("tls: intermediates are sent with the leaf") {
    auto config = server_config(ec_key());
    config.certificates[0].chain_pem += authority().certificate_pem();
    SocketPair sockets;
    auto server = TlsSession::server(server_context(config), sockets.left.get());
    RawClient client;
    client.attach(sockets.right.get());
    REQUIRE(handshake(server, client).raw == 1);
    CHECK(sk_X509_num(SSL_get_peer_cert_chain(client.ssl.get())) == 2);
}

TEST_CASE("tls: a context replaced while a handshake runs does not disturb it") {
    const auto before = server_config(ec_key(), {"mail.example.test"});
    const auto after = server_config(rsa_key(), {"mail.example.test"});
    auto context = server_context(before);
    const auto trust = client_context();
    TlsPair old_pair(context, trust);
    CHECK(old_pair.client.handshake() == TlsStatus::want_read);

    context = server_context(after); // the sessions hold the only references to the old one
    TlsPair new_pair(context, trust);
    old_pair.require_handshake();
    new_pair.require_handshake();
    CHECK(old_pair.client.info().peer_fingerprint ==
          fingerprint_of(before.certificates[0].chain_pem));
    CHECK(new_pair.client.info().peer_fingerprint ==
          fingerprint_of(after.certificates[0].chain_pem));
    CHECK(carry(old_pair.client, old_pair.server, "still here") == "still here");
}

TEST_CASE("tls: sessions can be moved at any time") {
    const auto context = server_context(server_config(ec_key()));
    TlsPair pair(context, client_context());
    CHECK(pair.client.handshake() == TlsStatus::want_read);
    TlsSession server = std::move(pair.server);
    CHECK(server.handshake() == TlsStatus::want_read);
    pair.server = std::move(server);
    pair.require_handshake();
    TlsSession client = std::move(pair.client);
    CHECK(carry(client, pair.server, "moved") == "moved");
}

TEST_CASE("tls: verification, each way to fail, and the report of an opportunistic client") {
    struct Case {
        const char* what;
        std::string certificate;
        std::vector<std::string> names;
        const char* reason;
    };
    const auto with_time = [](UtcTime start, int days) {
        return authority().issue(ec_key(), {{"mail.example.test"}, {}, start, days}).value();
    };
    const CertificateSpec spec{{"mail.example.test"}, {}, kStart, 36'000};
    const auto stranger = CertificateAuthority::create("Stranger", kStart, 36'500);
    const std::vector<std::string> right = {"mail.example.test"};
    const Case cases[] = {
        {"unknown issuer", *stranger.issue(ec_key(), spec), right,
         "unable to get local issuer certificate"},
        {"self-signed", *self_signed_certificate(ec_key(), spec), right, "self-signed certificate"},
        {"expired", with_time(kStart, 1), right, "certificate has expired"},
        {"not yet valid", with_time(UtcTime{4'000'000'000'000}, 1), right,
         "certificate is not yet valid"},
        {"another name",
         issue(ec_key(), {"mail.example.test"}),
         {"mx.example.test"},
         "hostname mismatch"},
        {"a name under it", issue(ec_key(), {"example.test"}), right, "hostname mismatch"},
        {"two labels under a wildcard", issue(ec_key(), {"*.test"}), right, "hostname mismatch"},
        {"another address",
         issue(ec_key(), {}, {"192.0.2.1"}),
         {"192.0.2.2"},
         "IP address mismatch"},
        {"an address as a name",
         issue(ec_key(), {"mail.example.test"}),
         {"192.0.2.1"},
         "IP address mismatch"},
    };
    for (const auto& c : cases) {
        INFO(c.what);
        auto config = server_config(ec_key());
        config.certificates = {{c.certificate, 1}};
        const auto context = server_context(config);
        const TlsPeer peer{"mail.example.test", c.names};

        TlsPair strict(context, client_context(), peer);
        CHECK(strict.handshake().client == TlsStatus::failed);
        CHECK(strict.client.error() ==
              cat("certificate verify failed: ", std::string_view(c.reason)));
        CHECK(strict.server.handshake() != TlsStatus::done);
        CHECK(strict.client.handshake() == TlsStatus::failed); // and stays so

        TlsPair lenient(context, client_context(TlsVerify::opportunistic), peer);
        lenient.require_handshake();
        CHECK_FALSE(lenient.client.info().peer_verified);
        CHECK(lenient.client.info().verify_error == c.reason);
    }
}

TEST_CASE("tls: verification, the ways to succeed") {
    struct Case {
        std::string certificate;
        std::vector<std::string> names;
    };
    const Case cases[] = {
        {issue(ec_key(), {"mail.example.test"}), {"MAIL.Example.test"}},
        {issue(ec_key(), {"*.example.test"}), {"mail.example.test"}},
        {issue(ec_key(), {"b.test"}), {"a.test", "b.test"}}, // one of several
        {issue(ec_key(), {"localhost"}, {"127.0.0.1", "::1"}), {"127.0.0.1"}},
        {issue(ec_key(), {"localhost"}, {"127.0.0.1", "::1"}), {"::1"}},
    };
    for (const auto& c : cases) {
        auto config = server_config(ec_key());
        config.certificates = {{c.certificate, 1}};
        TlsPair pair(server_context(config), client_context(), {c.names[0], c.names});
        pair.require_handshake();
        CHECK(pair.client.info().peer_verified);
    }
}

TEST_CASE("tls: without a name nothing is verified, and a common name is no name") {
    const auto context = server_context(server_config(ec_key()));
    for (const std::vector<std::string>& names : {std::vector<std::string>{},
                                                  {""},
                                                  {"127.0.0.1", "mail.example.test"},
                                                  {std::string("mail.example.test\0.evil", 23)},
                                                  {"*.example.test"}}) {
        TlsPair strict(context, client_context(), {"mail.example.test", names});
        CHECK(strict.handshake().client == TlsStatus::failed);
        CHECK(strict.client.error() == "no name to verify the certificate with");
        TlsPair lenient(context, client_context(TlsVerify::opportunistic),
                        {"mail.example.test", names});
        lenient.require_handshake();
        CHECK_FALSE(lenient.client.info().peer_verified);
        CHECK_FALSE(lenient.client.info().verify_error.empty());
    }
    // issue() puts the first DNS name into the common name too, so this one is made by hand.
    CertificateSpec spec{{"mail.example.test"}, {"192.0.2.1"}, kStart, 36'000};
    auto pem = authority().issue(ec_key(), spec).value();
    const auto bio = openssl::memory_bio(pem);
    openssl::X509Cert x509(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    const int at = X509_get_ext_by_NID(x509.get(), NID_subject_alt_name, -1);
    REQUIRE(at >= 0);
    X509_EXTENSION_free(X509_delete_ext(x509.get(), at));
    REQUIRE(X509_sign(x509.get(), authority().key().get(), EVP_sha256()) > 0);
    const openssl::Bio out(BIO_new(BIO_s_mem()));
    REQUIRE(PEM_write_bio_X509(out.get(), x509.get()) == 1);
    auto config = server_config(ec_key());
    config.certificates = {{openssl::bio_bytes(out.get()), 1}};
    TlsPair pair(server_context(config), client_context());
    CHECK(pair.handshake().client == TlsStatus::failed);
    CHECK(pair.client.error() == "certificate verify failed: hostname mismatch");
}

TEST_CASE("tls: an opportunistic client without roots reports that, and gets through") {
    const auto client = TlsContext::client({TlsVerify::opportunistic, "", {}});
    REQUIRE(client.ok());
    TlsPair pair(server_context(server_config(ec_key())), *client);
    pair.require_handshake();
    CHECK_FALSE(pair.client.info().peer_verified);
    CHECK(pair.client.info().verify_error == "unable to get local issuer certificate");
    CHECK(pair.client.info().peer_fingerprint.size() == 64);
}

TEST_CASE("tls: configurations that make no context, in words") {
    const auto refusal = [](const TlsServerConfig& config) {
        const auto context = TlsContext::server(config);
        REQUIRE_FALSE(context.ok());
        return context.error();
    };
    auto config = server_config(ec_key());
    config.certificates.clear();
    CHECK(refusal(config) == "no certificate for TLS");
    config = server_config(ec_key());
    config.signer = nullptr;
    CHECK(refusal(config) == "no signer for TLS");
    config = server_config(ec_key());
    config.service = std::string(33, 's');
    CHECK(refusal(config).find("not 1 to 32 bytes") != std::string::npos);
    config = server_config(ec_key());
    config.alpn = {""};
    CHECK(refusal(config) == "an ALPN name is not 1 to 255 bytes long");
    config = server_config(ec_key());
    config.certificates.push_back({"nonsense", 2});
    CHECK(refusal(config) == "certificate 2: no certificate in the file");
    config.certificates[1].chain_pem = ec_key().pem();
    CHECK(refusal(config) ==
          "certificate 2: holds a private key; keys belong into a file of their own");

    CHECK(TlsContext::client({TlsVerify::required, "", {}}).error() ==
          "no trusted certificates to verify with");
    CHECK(TlsContext::client({TlsVerify::required, "nonsense", {}}).error() ==
          "trusted certificates: no certificate in the file");
}

TEST_CASE("tls: a signer that refuses or answers nonsense fails the handshake, not the process") {
    struct Case {
        Result<std::string> answer;
        TlsStatus server;
    };
    const Case cases[] = {
        {Err{"keyd is away"}, TlsStatus::failed},
        {std::string(), TlsStatus::failed},
        {std::string(10'000, 's'), TlsStatus::failed},
    };
    for (const auto& c : cases) {
        auto config = server_config(ec_key());
        config.signer = std::make_shared<FixedSigner>(c.answer);
        TlsPair pair(server_context(config), client_context());
        const auto outcome = pair.handshake();
        CHECK(outcome.server == c.server);
        CHECK(outcome.client != TlsStatus::done);
        if (!c.answer) CHECK(pair.server.error().find("keyd is away") != std::string::npos);
    }
    // A signature of the right form over something else is noticed by the client.
    auto config = server_config(ec_key());
    config.signer = std::make_shared<FixedSigner>(ec_key().sign(SignScheme::ecdsa_sha256, "else"));
    TlsPair pair(server_context(config), client_context());
    CHECK(pair.handshake().client == TlsStatus::failed);
    CHECK(pair.client.error() == "bad signature");
    // So is a key that does not belong to the certificate.
    config.signer = ring_of(PrivateKey::generate(KeyType::ec_p256));
    TlsPair other(server_context(config), client_context());
    CHECK(other.handshake().client == TlsStatus::failed);
}

TEST_CASE("tls: both sides derive the same channel binding, another connection another one") {
    const auto context = server_context(server_config(ec_key()));
    TlsPair one(context, client_context()), two(context, client_context());
    one.require_handshake();
    two.require_handshake();
    REQUIRE(one.server.channel_binding());
    CHECK(one.server.channel_binding()->size() == 32);
    CHECK(one.server.channel_binding() == one.client.channel_binding());
    CHECK(one.server.channel_binding() != two.server.channel_binding());
}

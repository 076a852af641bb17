#include "common/base/text.h"
#include "common/crypto/certificate.h"
#include "common/crypto/host_name.h"
#include "common/crypto/key_type.h"
#include "common/crypto/provider.h"
#include "common/crypto/tls.h"
#include "common/crypto/tls_impl.h"
#include "common/crypto/tls_sign_policy.h"

#include <openssl/err.h>

#include <algorithm>

namespace tambo {

namespace {

using openssl::SslContext;

// RULES.md C1. AES-128 first: in mail the handshake costs more than the bulk.
constexpr const char* kCipherSuites13 =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
constexpr const char* kServerCiphers12 = "ECDHE+AESGCM:ECDHE+CHACHA20";
// Towards a server that we would otherwise talk to in clear text, anything of TLS 1.2 that
// encrypts and is not broken is a gain (RFC 7435).
constexpr const char* kOpportunisticCiphers12 =
    "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:ECDHE+AES:DHE+AES:RSA+AESGCM:RSA+AES:"
    "!aNULL:!eNULL:!PSK:!SRP";
// The schemes of SignScheme, in the order in which we like them.
constexpr const char* kServerSchemes =
    "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:"
    "rsa_pss_rsae_sha512:RSA+SHA256:RSA+SHA384:RSA+SHA512";
constexpr const char* kClientGroups = "X25519:P-256:P-384";
constexpr long kPeerChainBytesMax = 64 * 1024;

std::string server_groups() {
    std::string out;
    for (const TlsGroup& group : kTlsGroups) {
        if (!out.empty()) out.push_back(':');
        out += group.name;
    }
    return out;
}

// What servers and clients have in common.
SslContext new_context(const SSL_METHOD* method) {
    openssl::start();
    SslContext context(SSL_CTX_new(method));
    check(context != nullptr, "a TLS context can be made");
    SSL_CTX* c = context.get();
    check(SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1 &&
              SSL_CTX_set_ciphersuites(c, kCipherSuites13) == 1,
          "TLS versions and suites");
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                               SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_clear_options(c, SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(c, 0);
    SSL_CTX_set_max_cert_list(c, kPeerChainBytesMax);
    return context;
}

// RFC 7301 3.2.
int select_alpn(SSL* /*ssl*/,
                const unsigned char** out,
                unsigned char* out_length,
                const unsigned char* offer,
                unsigned offer_length,
                void* argument) {
    const auto& ours = static_cast<const TlsContext::Impl*>(argument)->alpn;
    for (const auto& name : ours) {
        for (unsigned at = 0; at < offer_length; at += 1u + offer[at]) {
            const std::string_view theirs(reinterpret_cast<const char*>(offer + at + 1), offer[at]);
            if (theirs != name) continue;
            *out = offer + at + 1;
            *out_length = offer[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// RFC 6066 3. Whatever is not a host name that we have gets the default certificate.
int select_by_name(SSL* ssl, int* /*alert*/, void* argument) {
    const auto& impl = *static_cast<const TlsContext::Impl*>(argument);
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == nullptr || !is_host_name(name)) return SSL_TLSEXT_ERR_NOACK;
    SSL_CTX* chosen = impl.find(name);
    if (chosen == nullptr) return SSL_TLSEXT_ERR_NOACK;
    if (chosen != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, chosen);
    return SSL_TLSEXT_ERR_OK;
}

SslContext new_server_context(const TlsContext::Impl& impl, std::string_view service) {
    auto context = new_context(TLS_server_method());
    SSL_CTX* c = context.get();
    auto* argument = const_cast<TlsContext::Impl*>(&impl); // handed back to callbacks as const
    check(SSL_CTX_set_cipher_list(c, kServerCiphers12) == 1 &&
              SSL_CTX_set1_groups_list(c, server_groups().c_str()) == 1 &&
              SSL_CTX_set1_sigalgs_list(c, kServerSchemes) == 1,
          "TLS server algorithms");
    SSL_CTX_set_security_level(c, 2);
    SSL_CTX_set_num_tickets(c, 0);
    SSL_CTX_set_max_early_data(c, 0);
    check(SSL_CTX_set_session_id_context(c, openssl::bytes(service),
                                         static_cast<unsigned>(service.size())) == 1,
          "a service's name");
    SSL_CTX_set_alpn_select_cb(c, select_alpn, argument);
    // The macros for these two cast in a way that our warnings refuse.
    SSL_CTX_callback_ctrl(c, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                          reinterpret_cast<void (*)()>(select_by_name));
    SSL_CTX_ctrl(c, SSL_CTRL_SET_TLSEXT_SERVERNAME_ARG, 0, argument);
    return context;
}

openssl::X509Cert to_x509(const Certificate& certificate) {
    const unsigned char* at = openssl::bytes(certificate.der);
    openssl::X509Cert x509(d2i_X509(nullptr, &at, static_cast<long>(certificate.der.size())));
    check(x509 != nullptr, "a certificate that was read before");
    return x509;
}

// An error text, empty if the chain is now part of the context.
std::string install(SSL_CTX* context,
                    const std::vector<Certificate>& chain,
                    const std::shared_ptr<KeySigner>& signer,
                    uint32_t key_id) {
    const auto leaf = to_x509(chain.front());
    EVP_PKEY* public_key = X509_get0_pubkey(leaf.get());
    if (const auto type = openssl::key_type(public_key); !type) return type.error();
    const auto key = provider::make_key(public_key, signer, key_id);
    check(key != nullptr, "a key type that was checked");
    if (SSL_CTX_use_certificate(context, leaf.get()) != 1 ||
        SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
        return openssl::take_error("certificate refused");
    }
    for (size_t i = 1; i < chain.size(); ++i) {
        if (SSL_CTX_add1_chain_cert(context, to_x509(chain[i]).get()) != 1) {
            return openssl::take_error("chain certificate refused");
        }
    }
    return {};
}

std::vector<std::string> names_of(const Certificate& leaf) {
    auto names = leaf.dns_names;
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

// Certificates with the same names share a context, which holds one of each key type.
struct NamedContext {
    std::vector<std::string> names;
    std::vector<std::string> key_types;
    SSL_CTX* context;
};

std::string quote(std::string_view service) {
    return cat('"', escape(service, 40), '"');
}

// Says what is wrong, empty if nothing.
std::string check_config(const TlsServerConfig& config) {
    if (config.certificates.empty()) return "no certificate for TLS";
    if (config.service.empty() || config.service.size() > SSL_MAX_SID_CTX_LENGTH) {
        return cat("service name ", quote(config.service), " is not 1 to 32 bytes long");
    }
    if (config.signer == nullptr) return "no signer for TLS";
    return {};
}

std::string check_alpn(const std::vector<std::string>& names) {
    for (const auto& name : names) {
        if (name.empty() || name.size() > 255) return "an ALPN name is not 1 to 255 bytes long";
    }
    return {};
}

} // namespace

SSL_CTX* TlsContext::Impl::find(std::string_view host) const {
    const auto name = to_lower(host);
    if (const auto exact = by_name.find(name); exact != by_name.end()) return exact->second;
    const auto dot = name.find('.');
    if (dot == std::string::npos) return nullptr;
    const auto wildcard = by_name.find(cat('*', std::string_view(name).substr(dot)));
    return wildcard != by_name.end() ? wildcard->second : nullptr;
}

Result<TlsContext> TlsContext::server(const TlsServerConfig& config) {
    if (auto wrong = check_config(config); !wrong.empty()) return Err{std::move(wrong)};
    if (auto wrong = check_alpn(config.alpn); !wrong.empty()) return Err{std::move(wrong)};
    auto impl = std::make_shared<Impl>();
    impl->is_server = true;
    impl->alpn = config.alpn;
    std::vector<NamedContext> made;
    for (size_t i = 0; i < config.certificates.size(); ++i) {
        const auto& entry = config.certificates[i];
        const auto chain = parse_certificate_chain(entry.chain_pem);
        if (!chain) return Err{cat("certificate ", i + 1, ": ", chain.error())};
        const Certificate& leaf = chain.value().front();
        const auto names = names_of(leaf);
        const auto key_type = leaf.key_description.substr(0, 2);
        auto place = std::find_if(made.begin(), made.end(), [&](const NamedContext& m) {
            return m.names == names &&
                   std::find(m.key_types.begin(), m.key_types.end(), key_type) == m.key_types.end();
        });
        if (place == made.end()) {
            impl->contexts.push_back(new_server_context(*impl, config.service));
            made.push_back({names, {}, impl->contexts.back().get()});
            place = made.end() - 1;
        }
        place->key_types.push_back(key_type);
        const auto wrong = install(place->context, *chain, config.signer, entry.key_id);
        if (!wrong.empty())
            return Err{cat("certificate ", i + 1, " (", leaf.subject, "): ", wrong)};
        for (const auto& name : names)
            impl->by_name.emplace(name, place->context);
    }
    return TlsContext(std::move(impl));
}

Result<TlsContext> TlsContext::client(const TlsClientConfig& config) {
    if (auto wrong = check_alpn(config.alpn); !wrong.empty()) return Err{std::move(wrong)};
    const bool required = config.verify == TlsVerify::required;
    if (required && config.ca_pem.empty()) return Err{"no trusted certificates to verify with"};
    auto impl = std::make_shared<Impl>();
    impl->verify = config.verify;
    auto context = new_context(TLS_client_method());
    SSL_CTX* c = context.get();
    check(SSL_CTX_set_cipher_list(c, required ? kServerCiphers12 : kOpportunisticCiphers12) == 1 &&
              SSL_CTX_set1_groups_list(c, kClientGroups) == 1,
          "TLS client algorithms");
    SSL_CTX_set_security_level(c, required ? 2 : 1);
    SSL_CTX_set_verify(c, required ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (!config.ca_pem.empty()) {
        const auto roots = parse_certificate_bundle(config.ca_pem);
        if (!roots) return Err{cat("trusted certificates: ", roots.error())};
        for (const auto& root : *roots) {
            check(X509_STORE_add_cert(SSL_CTX_get_cert_store(c), to_x509(root).get()) == 1,
                  "a root can be trusted");
        }
    }
    if (!config.alpn.empty()) {
        std::string wire; // RFC 7301 3.1
        for (const auto& name : config.alpn) {
            wire.push_back(static_cast<char>(name.size()));
            wire += name;
        }
        // Zero is success here.
        check(SSL_CTX_set_alpn_protos(c, openssl::bytes(wire),
                                      static_cast<unsigned>(wire.size())) == 0,
              "an ALPN offer");
    }
    impl->contexts.push_back(std::move(context));
    return TlsContext(std::move(impl));
}

} // namespace tambo

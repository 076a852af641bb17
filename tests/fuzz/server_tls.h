// The TLS of a server of ours, with a certificate of its own.
#pragma once

#include "common/crypto/issue.h"
#include "common/crypto/key_ring.h"
#include "common/crypto/tls.h"

#include <memory>
#include <string>

namespace tambo::fuzz {

inline TlsContext server_tls(const std::string& service) {
    const PrivateKey key = PrivateKey::generate(KeyType::ec_p256);
    const CertificateSpec spec{{"mail.example.test"}, {}, UtcTime{1'700'000'000'000}, 36'000};
    auto ring = std::make_shared<KeyRing>();
    ring->add(1, key);
    TlsServerConfig config;
    config.service = service;
    config.certificates = {{self_signed_certificate(key, spec).value(), 1}};
    config.signer = std::move(ring);
    return TlsContext::server(config).value();
}

} // namespace tambo::fuzz

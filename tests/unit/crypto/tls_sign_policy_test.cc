#include "common/crypto/tls_sign_policy.h"

#include <catch2/catch.hpp>

#include <string>

using namespace tambo;

namespace {

const std::string kContext = "TLS 1.3, server CertificateVerify";

std::string certificate_verify(size_t hash_bytes = 32) {
    return std::string(64, ' ') + kContext + '\0' + std::string(hash_bytes, '\x5a');
}

std::string key_exchange_x25519() {
    return std::string(64, 'r') + std::string("\x03\x00\x1d\x20", 4) + std::string(32, '\x11');
}

std::string key_exchange_p256() {
    return std::string(64, 'r') + std::string("\x03\x00\x17\x41\x04", 5) + std::string(64, '\x22');
}

bool allowed13(const std::string& tbs,
               SignScheme scheme = SignScheme::ecdsa_sha256,
               KeyType key = KeyType::ec_p256) {
    return !refuse_tls_signature({1, SignKind::tls13_certificate_verify, scheme, tbs}, key);
}

bool allowed12(const std::string& tbs,
               SignScheme scheme = SignScheme::ecdsa_sha256,
               KeyType key = KeyType::ec_p256) {
    return !refuse_tls_signature({1, SignKind::tls12_server_key_exchange, scheme, tbs}, key);
}

} // namespace

TEST_CASE("policy: exactly the content of a TLS 1.3 server CertificateVerify") {
    CHECK(allowed13(certificate_verify(32)));
    CHECK(allowed13(certificate_verify(48)));
    for (const size_t length : {0, 1, 20, 31, 33, 47, 49, 64, 1000}) {
        CHECK_FALSE(allowed13(certificate_verify(length)));
    }
    const auto good = certificate_verify(32);
    for (size_t length = 0; length < good.size(); ++length) {
        CHECK_FALSE(allowed13(good.substr(0, length)));
    }
    CHECK_FALSE(allowed13(' ' + good));
    CHECK_FALSE(allowed13(good + good));
    for (size_t at = 0; at < good.size(); ++at) {
        auto changed = good;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        CHECK(allowed13(changed) == (at >= 64 + kContext.size() + 1)); // only the hash is free
    }
}

TEST_CASE("policy: a client's CertificateVerify is not signed") {
    CHECK_FALSE(allowed13(std::string(64, ' ') + "TLS 1.3, client CertificateVerify" + '\0' +
                          std::string(32, '\x5a')));
}

TEST_CASE("policy: exactly a ServerKeyExchange of TLS 1.2") {
    CHECK(allowed12(key_exchange_x25519()));
    CHECK(allowed12(key_exchange_p256()));
    for (const auto& good : {key_exchange_x25519(), key_exchange_p256()}) {
        for (size_t length = 0; length < good.size(); ++length) {
            CHECK_FALSE(allowed12(good.substr(0, length)));
        }
        CHECK_FALSE(allowed12(good + '\0'));
        CHECK_FALSE(allowed12(good + good));
        // Curve type, curve, length and the form of the point are fixed.
        const size_t fixed = good == key_exchange_p256() ? 5 : 4;
        for (size_t at = 64; at < 64 + fixed; ++at) {
            for (int bit = 0; bit < 8; ++bit) {
                auto changed = good;
                changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
                CHECK_FALSE(allowed12(changed));
            }
        }
    }
}

TEST_CASE("policy: groups that we do not offer, explicit curves and finite fields are refused") {
    const auto with = [](std::string_view params, size_t point) {
        return std::string(64, 'r') + std::string(params) + std::string(point, '\x04');
    };
    CHECK_FALSE(allowed12(with(std::string_view("\x03\x00\x18\x61", 4), 97)));  // P-384
    CHECK_FALSE(allowed12(with(std::string_view("\x03\x00\x19\x85", 4), 133))); // P-521
    CHECK_FALSE(allowed12(with(std::string_view("\x03\x00\x1e\x38", 4), 56)));  // X448
    CHECK_FALSE(allowed12(with(std::string_view("\x01\x00\x17\x41", 4), 65)));  // explicit prime
    CHECK_FALSE(allowed12(with(std::string_view("\x03\x00\x1d\x00", 4), 0)));
    CHECK_FALSE(allowed12(std::string(64, 'r') + std::string("\x01\x00\xff", 3) +
                          std::string(256, 'p'))); // DHE parameters
}

TEST_CASE("policy: raw digests, DigestInfo, mail and certificates are refused as either kind") {
    const std::string digest_info =
        std::string("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
                    19) +
        std::string(32, 'd');
    for (const auto& bytes :
         {std::string(), std::string(32, 'd'), std::string(48, ' '), std::string(64, ' '),
          std::string(64, 'd'), digest_info, std::string("dkim-signature:v=1; a=rsa-sha256"),
          std::string("\x30\x82\x01\x0a", 4) + std::string(500, 'c')}) {
        CHECK_FALSE(allowed13(bytes));
        CHECK_FALSE(allowed12(bytes));
    }
    CHECK_FALSE(allowed13(key_exchange_x25519()));
    CHECK_FALSE(allowed12(certificate_verify()));
    // Randoms of blanks would be the beginning of the other kind.
    auto blanks = key_exchange_x25519();
    blanks.replace(0, 64, std::string(64, ' '));
    CHECK_FALSE(allowed12(blanks));
}

TEST_CASE("policy: the scheme must fit key and version") {
    const auto verify = certificate_verify();
    const auto exchange = key_exchange_x25519();
    const SignScheme pkcs1[] = {SignScheme::rsa_pkcs1_sha256, SignScheme::rsa_pkcs1_sha384,
                                SignScheme::rsa_pkcs1_sha512};
    const SignScheme pss[] = {SignScheme::rsa_pss_rsae_sha256, SignScheme::rsa_pss_rsae_sha384,
                              SignScheme::rsa_pss_rsae_sha512};
    for (const auto scheme : pkcs1) {
        CHECK_FALSE(allowed13(verify, scheme, KeyType::rsa));
        CHECK(allowed12(exchange, scheme, KeyType::rsa));
        CHECK_FALSE(allowed12(exchange, scheme, KeyType::ec_p256));
    }
    for (const auto scheme : pss) {
        CHECK(allowed13(verify, scheme, KeyType::rsa));
        CHECK(allowed12(exchange, scheme, KeyType::rsa));
        CHECK_FALSE(allowed13(verify, scheme, KeyType::ec_p384));
    }
    CHECK_FALSE(allowed13(verify, SignScheme::ecdsa_sha256, KeyType::rsa));
    CHECK_FALSE(allowed13(verify, SignScheme::ecdsa_sha384, KeyType::ec_p256));
    CHECK_FALSE(allowed13(verify, SignScheme::ecdsa_sha256, KeyType::ec_p384));
    CHECK(allowed13(verify, SignScheme::ecdsa_sha384, KeyType::ec_p384));
    CHECK(allowed12(exchange, SignScheme::ecdsa_sha384, KeyType::ec_p256));
    CHECK(allowed12(exchange, SignScheme::ecdsa_sha256, KeyType::ec_p384));
}

TEST_CASE("policy: numbers from a peer that are no kind and no scheme") {
    const auto verify = certificate_verify();
    for (const int number : {0, 3, 255}) {
        CHECK(refuse_tls_signature(
            {1, static_cast<SignKind>(number), SignScheme::ecdsa_sha256, verify},
            KeyType::ec_p256));
    }
    for (const int number : {0, 0x0201, 0x0203, 0x0807, 0xffff}) {
        CHECK_FALSE(allowed13(verify, static_cast<SignScheme>(number)));
    }
}

TEST_CASE("the kind is told by the first 64 bytes") {
    CHECK(sign_kind_of(certificate_verify()) == SignKind::tls13_certificate_verify);
    CHECK(sign_kind_of(key_exchange_p256()) == SignKind::tls12_server_key_exchange);
    CHECK(sign_kind_of("") == SignKind::tls12_server_key_exchange);
    CHECK(sign_kind_of(std::string(63, ' ')) == SignKind::tls12_server_key_exchange);
}

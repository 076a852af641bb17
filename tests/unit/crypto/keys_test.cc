#include "common/crypto/keys.h"

#include "common/crypto/digest.h"
#include "common/crypto/key_ring.h"
#include "common/crypto/openssl.h"
#include "tests/unit/crypto/tls_pair.h"

#include <openssl/pem.h>

#include <sys/mman.h>

using namespace tambo;
using namespace tambo::test;

namespace {

std::string traditional_pem(EVP_PKEY* key, const EVP_CIPHER* cipher = nullptr) {
    openssl::Bio bio(BIO_new(BIO_s_mem()));
    unsigned char passphrase[] = "secret";
    REQUIRE(PEM_write_bio_PrivateKey_traditional(bio.get(), key, cipher, passphrase, 6, nullptr,
                                                 nullptr) == 1);
    return openssl::bio_bytes(bio.get());
}

std::string encrypted_pkcs8(EVP_PKEY* key) {
    openssl::Bio bio(BIO_new(BIO_s_mem()));
    REQUIRE(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, EVP_aes_128_cbc(), "secret", 6, nullptr,
                                          nullptr) == 1);
    return openssl::bio_bytes(bio.get());
}

std::string pkcs8(EVP_PKEY* key) {
    openssl::Bio bio(BIO_new(BIO_s_mem()));
    REQUIRE(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) ==
            1);
    return openssl::bio_bytes(bio.get());
}

// A file in memory, its offset anywhere but at the start.
UniqueFd file_with(std::string_view text) {
    UniqueFd fd(::memfd_create("key", MFD_CLOEXEC));
    REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    return fd;
}

std::string refusal(const std::string& pem) {
    const auto key = PrivateKey::parse_pem(pem);
    REQUIRE_FALSE(key.ok());
    return key.error();
}

bool verifies(const PrivateKey& key,
              const EVP_MD* hash,
              bool pss,
              std::string_view tbs,
              std::string_view signature) {
    openssl::DigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* parameters = nullptr;
    REQUIRE(EVP_DigestVerifyInit(context.get(), &parameters, hash, nullptr, key.get()) == 1);
    if (pss) {
        REQUIRE(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1);
        REQUIRE(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1);
    }
    return EVP_DigestVerify(context.get(), openssl::bytes(signature), signature.size(),
                            openssl::bytes(tbs), tbs.size()) == 1;
}

} // namespace

TEST_CASE("keys: every encoding of every type is read") {
    for (const PrivateKey* key : {&rsa_key(), &ec_key(), &p384_key()}) {
        for (const auto& pem : {key->pem(), traditional_pem(key->get())}) {
            const auto read = PrivateKey::parse_pem(pem);
            REQUIRE(read.ok());
            CHECK(read->type() == key->type());
            CHECK(read->public_key() == key->public_key());
        }
    }
    CHECK(rsa_key().description() == "RSA 2048");
    CHECK(ec_key().description() == "EC P-256");
    CHECK(p384_key().description() == "EC P-384");
    CHECK(rsa_key().pem().starts_with("-----BEGIN PRIVATE KEY-----\n"));
}

TEST_CASE("keys: text and parameter blocks before the key do not matter") {
    const auto pem = "# made by hand\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n"
                     "-----END EC PARAMETERS-----\n" +
                     traditional_pem(ec_key().get());
    const auto read = PrivateKey::parse_pem(pem);
    REQUIRE(read.ok());
    CHECK(read->public_key() == ec_key().public_key());
}

TEST_CASE("keys: a descriptor is read from its start, and only to 64 KiB") {
    const auto fd = file_with(ec_key().pem());
    const auto read = PrivateKey::read_pem(fd.get());
    REQUIRE(read.ok());
    CHECK(read->public_key() == ec_key().public_key());

    const auto large = file_with(ec_key().pem() + std::string(64 * 1024, '\n'));
    CHECK_FALSE(PrivateKey::read_pem(large.get()).ok());
    CHECK_FALSE(PrivateKey::read_pem(-1).ok());
}

TEST_CASE("keys: what is refused, and in what words") {
    CHECK(refusal("") == "no PEM block in the file");
    CHECK(refusal("hello") == "no PEM block in the file");
    CHECK(refusal(authority().certificate_pem()) == "no readable private key in the file");
    // Encrypted keys are refused without asking the terminal for anything.
    const std::string wanted = "private key is encrypted with a passphrase; store it without";
    CHECK(refusal(traditional_pem(ec_key().get(), EVP_aes_128_cbc())) == wanted);
    CHECK(refusal(encrypted_pkcs8(ec_key().get())) == wanted);

    auto damaged = ec_key().pem();
    damaged[damaged.size() / 2] = '!';
    CHECK(refusal(damaged) == "no readable private key in the file");
    CHECK_FALSE(PrivateKey::parse_pem(ec_key().pem().substr(0, 100)).ok());

    const openssl::Pkey shorter(EVP_RSA_gen(1024));
    CHECK(refusal(pkcs8(shorter.get())) == "RSA key of 1024 bits is too short, 2048 are needed");
    const openssl::Pkey edwards(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    CHECK(refusal(pkcs8(edwards.get())) == "key of type ED25519, only RSA and EC work");
    const openssl::Pkey large(EVP_EC_gen("P-521"));
    CHECK(refusal(pkcs8(large.get())) ==
          "EC key on curve secp521r1, only P-256 and P-384 are supported");
}

TEST_CASE("keys: an error never quotes the key") {
    auto pem = ec_key().pem();
    const auto secret = pem.substr(40, 30);
    pem[60] = '*';
    CHECK(refusal(pem).find(secret.substr(0, 10)) == std::string::npos);
}

TEST_CASE("keys: signatures of every scheme verify, and only with their own parameters") {
    struct Case {
        const PrivateKey& key;
        SignScheme scheme;
        const EVP_MD* hash;
        bool pss;
    };
    const Case cases[] = {
        {rsa_key(), SignScheme::rsa_pkcs1_sha256, EVP_sha256(), false},
        {rsa_key(), SignScheme::rsa_pkcs1_sha384, EVP_sha384(), false},
        {rsa_key(), SignScheme::rsa_pkcs1_sha512, EVP_sha512(), false},
        {rsa_key(), SignScheme::rsa_pss_rsae_sha256, EVP_sha256(), true},
        {rsa_key(), SignScheme::rsa_pss_rsae_sha384, EVP_sha384(), true},
        {rsa_key(), SignScheme::rsa_pss_rsae_sha512, EVP_sha512(), true},
        {ec_key(), SignScheme::ecdsa_sha256, EVP_sha256(), false},
        {ec_key(), SignScheme::ecdsa_sha384, EVP_sha384(), false},
        {p384_key(), SignScheme::ecdsa_sha384, EVP_sha384(), false},
    };
    for (const auto& c : cases) {
        const auto signature = c.key.sign(c.scheme, "to be signed");
        REQUIRE(signature.ok());
        CHECK(verifies(c.key, c.hash, c.pss, "to be signed", *signature));
        CHECK_FALSE(verifies(c.key, c.hash, c.pss, "to be signeD", *signature));
        CHECK_FALSE(verifies(c.key, EVP_sha1(), c.pss, "to be signed", *signature));
    }
    CHECK_FALSE(rsa_key().sign(SignScheme::ecdsa_sha256, "x").ok());
    CHECK_FALSE(ec_key().sign(SignScheme::rsa_pss_rsae_sha256, "x").ok());
    CHECK_FALSE(ec_key().sign(static_cast<SignScheme>(0x0203), "x").ok());
}

TEST_CASE("a key ring signs for the policy only, with the key that is named") {
    KeyRing ring;
    ring.add(7, ec_key());
    const std::string tbs =
        std::string(64, ' ') + "TLS 1.3, server CertificateVerify" + '\0' + std::string(32, 'h');
    SignRequest request{7, SignKind::tls13_certificate_verify, SignScheme::ecdsa_sha256, tbs};
    const auto signature = ring.sign(request);
    REQUIRE(signature.ok());
    CHECK(verifies(ec_key(), EVP_sha256(), false, tbs, *signature));

    request.key_id = 8;
    REQUIRE_FALSE(ring.sign(request).ok());
    CHECK(ring.sign(request).error() == "no key 8");
    request.key_id = 7;
    request.tbs = std::string_view(tbs).substr(1);
    CHECK(ring.sign(request).error() == "not a TLS 1.3 server CertificateVerify");

    request.tbs = tbs;
    ring.add(7, p384_key()); // replaced: the scheme no longer fits
    CHECK(ring.size() == 1);
    CHECK(ring.sign(request).error() == "scheme does not fit key and kind");
}

TEST_CASE("a key's id follows from its public half") {
    const auto id = key_id(ec_key().public_key());
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(id >> shift));
    CHECK(bytes == sha256(ec_key().public_key()).substr(0, 4));
    CHECK(id != key_id(rsa_key().public_key()));
    CHECK(id == key_id(PrivateKey::parse_pem(ec_key().pem())->public_key()));
}

#include "common/crypto/keys.h"

#include "common/base/text.h"
#include "common/crypto/digest.h"
#include "common/crypto/key_type.h"
#include "common/crypto/openssl.h"
#include "common/sys/file.h"

#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <system_error>

namespace tambo {

namespace {

constexpr size_t kFileBytesMax = 64 * 1024;

// Without a callback OpenSSL would ask the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
}

const EVP_MD* hash_of(SignScheme scheme) {
    switch (scheme) {
    case SignScheme::rsa_pkcs1_sha256:
    case SignScheme::rsa_pss_rsae_sha256:
    case SignScheme::ecdsa_sha256:
        return EVP_sha256();
    case SignScheme::rsa_pkcs1_sha384:
    case SignScheme::rsa_pss_rsae_sha384:
    case SignScheme::ecdsa_sha384:
        return EVP_sha384();
    case SignScheme::rsa_pkcs1_sha512:
    case SignScheme::rsa_pss_rsae_sha512:
        return EVP_sha512();
    }
    return nullptr;
}

bool is_ecdsa(SignScheme scheme) {
    return scheme == SignScheme::ecdsa_sha256 || scheme == SignScheme::ecdsa_sha384;
}

bool is_pss(SignScheme scheme) {
    return scheme == SignScheme::rsa_pss_rsae_sha256 || scheme == SignScheme::rsa_pss_rsae_sha384 ||
           scheme == SignScheme::rsa_pss_rsae_sha512;
}

} // namespace

Result<PrivateKey> PrivateKey::parse_pem(std::string_view pem) {
    openssl::start();
    if (pem.size() > kFileBytesMax) return Err{"private key file is larger than 64 KiB"};
    const auto bio = openssl::memory_bio(pem);
    bool encrypted = false;
    openssl::Pkey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &encrypted));
    if (key == nullptr) {
        static_cast<void>(openssl::take_error(""));
        if (encrypted) return Err{"private key is encrypted with a passphrase; store it without"};
        if (pem.find("-----BEGIN") == std::string_view::npos)
            return Err{"no PEM block in the file"};
        return Err{"no readable private key in the file"};
    }
    const auto type = openssl::key_type(key.get());
    if (!type) return Err{type.error()};
    return PrivateKey(std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free), *type);
}

Result<PrivateKey> PrivateKey::read_pem(int fd) {
    try {
        auto pem = read_whole(fd, kFileBytesMax, "private key");
        auto key = parse_pem(pem);
        wipe(pem);
        return key;
    } catch (const std::system_error& e) {
        return Err{std::string(e.what())};
    }
}

PrivateKey PrivateKey::generate(KeyType type) {
    openssl::start();
    EVP_PKEY* key = type == KeyType::rsa       ? EVP_RSA_gen(2048)
                    : type == KeyType::ec_p256 ? EVP_EC_gen("P-256")
                                               : EVP_EC_gen("P-384");
    check(key != nullptr, "a key can be made");
    return PrivateKey(std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free), type);
}

std::string PrivateKey::description() const {
    return openssl::key_description(key_.get());
}

std::string PrivateKey::pem() const {
    // BIO_s_secmem wipes what it grows out of.
    openssl::Bio bio(BIO_new(BIO_s_secmem()));
    check(bio != nullptr && PEM_write_bio_PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0,
                                                     nullptr, nullptr) == 1,
          "a private key has an encoding");
    return openssl::bio_bytes(bio.get());
}

std::string PrivateKey::public_key() const {
    return openssl::public_key_der(key_.get());
}

Result<std::string> PrivateKey::sign(SignScheme scheme, std::string_view tbs) const {
    const EVP_MD* hash = hash_of(scheme);
    if (hash == nullptr || is_ecdsa(scheme) != (type_ != KeyType::rsa)) {
        return Err{"scheme does not fit the key"};
    }
    openssl::DigestContext context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* parameters = nullptr; // owned by context
    bool good = context != nullptr &&
                EVP_DigestSignInit(context.get(), &parameters, hash, nullptr, key_.get()) == 1;
    if (good && is_pss(scheme)) {
        good = EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    size_t length = static_cast<size_t>(EVP_PKEY_get_size(key_.get()));
    std::string signature(length, '\0');
    good = good && EVP_DigestSign(context.get(), openssl::bytes(signature), &length,
                                  openssl::bytes(tbs), tbs.size()) == 1;
    if (!good) return Err{cat("cannot sign: ", openssl::take_error("unknown reason"))};
    signature.resize(length);
    return signature;
}

uint32_t key_id(std::string_view public_key_der) {
    const auto hash = sha256(public_key_der);
    uint32_t id = 0;
    for (size_t i = 0; i < 4; ++i)
        id = id << 8 | static_cast<uint8_t>(hash[i]);
    return id;
}

bool lock_key_memory() {
    // 256 KiB hold some hundred RSA keys; beyond that keys go where all memory goes.
    return CRYPTO_secure_malloc_init(256 * 1024, 64) == 1;
}

} // namespace tambo

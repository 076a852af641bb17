#include "common/crypto/openssl.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/crypto/provider.h"

#include <openssl/err.h>
#include <openssl/provider.h>

#include <algorithm>
#include <climits>
#include <mutex>

namespace tambo::openssl {

namespace {

OSSL_PROVIDER* default_provider = nullptr;

void stop() {
    provider::unload();
    OSSL_PROVIDER_unload(default_provider);
}

} // namespace

void start() {
    static std::once_flag once;
    std::call_once(once, [] {
        // A configuration file could load engines and weaken protocols, and is not there to be read
        // in a sandbox.
        check(OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr) == 1, "OpenSSL starts");
        default_provider = OSSL_PROVIDER_load(nullptr, "default");
        check(default_provider != nullptr, "default provider loads");
        check(provider::load(), "key provider loads");
        // Both providers have RSA and EC. Without a preference the order of loading would decide
        // which of them makes the ephemeral keys and verifies signatures.
        check(EVP_set_default_properties(nullptr, "?provider=default") == 1, "provider preference");
        check(OPENSSL_atexit(stop) == 1, "memory");
    });
}

std::string take_error(std::string_view otherwise) {
    const char* data = nullptr;
    int flags = 0;
    const unsigned long code = ERR_peek_error_data(&data, &flags);
    std::string text;
    if (code != 0) {
        const char* reason = ERR_reason_error_string(code);
        text = reason != nullptr ? std::string(reason) : cat("error ", code);
        if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0') {
            text = cat(text, ": ", std::string_view(data));
        }
    }
    ERR_clear_error();
    if (text.empty()) text = otherwise;
    return escape(text, 190);
}

Bio memory_bio(std::string_view text) {
    check(text.size() <= INT_MAX, "text fits a BIO");
    Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    check(bio != nullptr, "memory");
    return bio;
}

std::string bio_bytes(BIO* bio) {
    char* data = nullptr;
    const long length = BIO_get_mem_data(bio, &data);
    return length > 0 ? std::string(data, static_cast<size_t>(length)) : std::string();
}

std::string public_key_der(EVP_PKEY* key) {
    unsigned char* der = nullptr;
    const int length = i2d_PUBKEY(key, &der);
    check(length > 0, "a public key has an encoding");
    std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(length));
    OPENSSL_free(der);
    return out;
}

} // namespace tambo::openssl

#include "common/crypto/digest.h"

#include "common/base/check.h"
#include "common/crypto/openssl.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <climits>

namespace tambo {

namespace {

const EVP_MD* method(DigestKind kind) {
    switch (kind) {
    case DigestKind::sha1:
        return EVP_sha1();
    case DigestKind::sha256:
        return EVP_sha256();
    case DigestKind::sha512:
        return EVP_sha512();
    }
    check(false, "a kind of digest");
    return nullptr;
}

} // namespace

void Digest::Free::operator()(evp_md_ctx_st* context) const {
    EVP_MD_CTX_free(context);
}

Digest::Digest(DigestKind kind) : kind_(kind) {
    openssl::start();
    context_.reset(EVP_MD_CTX_new());
    check(context_ != nullptr, "memory");
    check(EVP_DigestInit_ex(context_.get(), method(kind_), nullptr) == 1, "digest starts");
}

Digest::~Digest() = default;
Digest::Digest(Digest&&) noexcept = default;
Digest& Digest::operator=(Digest&&) noexcept = default;

void Digest::update(std::string_view data) {
    check(EVP_DigestUpdate(context_.get(), data.data(), data.size()) == 1, "digest goes on");
}

std::string Digest::finish() {
    std::string out(EVP_MAX_MD_SIZE, '\0');
    unsigned length = 0;
    check(EVP_DigestFinal_ex(context_.get(), openssl::bytes(out), &length) == 1, "digest ends");
    out.resize(length);
    check(EVP_DigestInit_ex(context_.get(), method(kind_), nullptr) == 1, "digest starts");
    return out;
}

std::string digest(DigestKind kind, std::string_view data) {
    Digest d(kind);
    d.update(data);
    return d.finish();
}

std::string sha256(std::string_view data) {
    return digest(DigestKind::sha256, data);
}

std::string hmac(DigestKind kind, std::string_view key, std::string_view data) {
    openssl::start();
    check(key.size() <= INT_MAX, "length of a key");
    // An empty string_view may have no pointer, which HMAC() takes for "the previous key".
    const char* key_data = key.empty() ? "" : key.data();
    std::string out(EVP_MAX_MD_SIZE, '\0');
    unsigned length = 0;
    check(HMAC(method(kind), key_data, static_cast<int>(key.size()), openssl::bytes(data),
               data.size(), openssl::bytes(out), &length) != nullptr,
          "HMAC");
    out.resize(length);
    return out;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(std::string& s) {
    OPENSSL_cleanse(s.data(), s.size());
    s.clear();
}

} // namespace tambo

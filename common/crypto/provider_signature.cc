// Signatures of the provider "tambo": one-shot DigestSign only, so that the signer sees the bytes
// themselves and can refuse what is not a TLS handshake.

#include "common/base/text.h"
#include "common/crypto/provider.h"
#include "common/crypto/tls_sign_policy.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::provider {

namespace {

enum class Hash { none, sha256, sha384, sha512 };

// An operation's state. The key belongs to the EVP_PKEY, which the operation keeps.
struct Operation {
    const Key* key = nullptr;
    Hash hash = Hash::none;
    bool pss = false;
};

void* new_operation(void* /*provider*/, const char* /*properties*/) {
    return new Operation;
}

void free_operation(void* operation) {
    delete static_cast<Operation*>(operation);
}

void* copy_operation(void* operation) {
    return new Operation(*static_cast<Operation*>(operation));
}

Hash hash_by_name(const char* name) {
    if (name == nullptr) return Hash::none;
    if (iequals(name, "SHA2-256") || iequals(name, "SHA256")) return Hash::sha256;
    if (iequals(name, "SHA2-384") || iequals(name, "SHA384")) return Hash::sha384;
    if (iequals(name, "SHA2-512") || iequals(name, "SHA512")) return Hash::sha512;
    return Hash::none;
}

size_t hash_bytes(Hash hash) {
    return hash == Hash::sha256 ? 32 : hash == Hash::sha384 ? 48 : 64;
}

// A number, or the text of one of the two settings that TLS uses, as OpenSSL passes them.
std::optional<int> setting(const OSSL_PARAM& param, std::string_view word, int value) {
    if (param.data_type == OSSL_PARAM_UTF8_STRING) {
        const char* text = nullptr;
        if (OSSL_PARAM_get_utf8_string_ptr(&param, &text) != 1) return std::nullopt;
        if (word == text) return value;
        const auto number = parse_uint(text, 4096);
        return number ? std::optional<int>(static_cast<int>(*number)) : std::nullopt;
    }
    int number = 0;
    if (OSSL_PARAM_get_int(&param, &number) != 1) return std::nullopt;
    return number;
}

// RSA padding: PKCS #1 v1.5, or PSS with a salt as long as the hash (RFC 8446 4.2.3).
int set_params(void* context, const OSSL_PARAM params[]) {
    auto& operation = *static_cast<Operation*>(context);
    if (params == nullptr) return 1;
    if (const OSSL_PARAM* mode = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE)) {
        const auto padding = setting(*mode, OSSL_PKEY_RSA_PAD_MODE_PSS, RSA_PKCS1_PSS_PADDING);
        if (padding != RSA_PKCS1_PSS_PADDING && padding != RSA_PKCS1_PADDING) return 0;
        operation.pss = padding == RSA_PKCS1_PSS_PADDING;
    }
    if (const OSSL_PARAM* salt =
            OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PSS_SALTLEN)) {
        const auto length =
            setting(*salt, OSSL_PKEY_RSA_PSS_SALT_LEN_DIGEST, RSA_PSS_SALTLEN_DIGEST);
        const auto wanted = static_cast<int>(hash_bytes(operation.hash));
        if (!operation.pss || (length != RSA_PSS_SALTLEN_DIGEST && length != wanted)) return 0;
    }
    return 1;
}

const OSSL_PARAM* settable_params(void* /*operation*/, void* /*provider*/) {
    static const OSSL_PARAM table[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, nullptr, 0),
        OSSL_PARAM_END,
    };
    return table;
}

int sign_init(void* context, const char* digest, void* key, const OSSL_PARAM params[]) {
    auto& operation = *static_cast<Operation*>(context);
    if (key != nullptr) operation.key = static_cast<const Key*>(key);
    operation.hash = hash_by_name(digest);
    if (operation.key == nullptr || operation.hash == Hash::none) return 0;
    return set_params(context, params);
}

SignScheme scheme_of(const Operation& operation) {
    const bool sha256 = operation.hash == Hash::sha256;
    const bool sha384 = operation.hash == Hash::sha384;
    if (EVP_PKEY_is_a(operation.key->public_key.get(), "EC") == 1) {
        return sha256 ? SignScheme::ecdsa_sha256 : SignScheme::ecdsa_sha384;
    }
    if (operation.pss) {
        return sha256   ? SignScheme::rsa_pss_rsae_sha256
               : sha384 ? SignScheme::rsa_pss_rsae_sha384
                        : SignScheme::rsa_pss_rsae_sha512;
    }
    return sha256   ? SignScheme::rsa_pkcs1_sha256
           : sha384 ? SignScheme::rsa_pkcs1_sha384
                    : SignScheme::rsa_pkcs1_sha512;
}

int digest_sign(void* context,
                unsigned char* signature,
                size_t* length,
                size_t capacity,
                const unsigned char* tbs,
                size_t tbs_length) {
    const auto& operation = *static_cast<const Operation*>(context);
    if (signature == nullptr) {
        *length = static_cast<size_t>(EVP_PKEY_get_size(operation.key->public_key.get()));
        return 1;
    }
    const std::string_view content(reinterpret_cast<const char*>(tbs), tbs_length);
    const auto answer = operation.key->signer->sign(
        SignRequest{operation.key->id, sign_kind_of(content), scheme_of(operation), content});
    if (!answer) {
        ERR_raise_data(ERR_LIB_PROV, ERR_R_OPERATION_FAIL, "%s", answer.error().c_str());
        return 0;
    }
    if (answer->empty() || answer->size() > capacity) {
        ERR_raise_data(ERR_LIB_PROV, ERR_R_OPERATION_FAIL, "signature of the wrong size");
        return 0;
    }
    std::memcpy(signature, answer->data(), answer->size());
    *length = answer->size();
    return 1;
}

// An EC key knows no SHA-512: we offer no scheme with it.
int sign_init_ec(void* context, const char* digest, void* key, const OSSL_PARAM params[]) {
    if (hash_by_name(digest) == Hash::sha512) return 0;
    return sign_init(context, digest, key, params);
}

const OSSL_DISPATCH kRsa[] = {
    entry(OSSL_FUNC_SIGNATURE_NEWCTX, new_operation),
    entry(OSSL_FUNC_SIGNATURE_FREECTX, free_operation),
    entry(OSSL_FUNC_SIGNATURE_DUPCTX, copy_operation),
    entry(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sign_init),
    entry(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, digest_sign),
    entry(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, set_params),
    entry(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, settable_params),
    {0, nullptr},
};

const OSSL_DISPATCH kEcdsa[] = {
    entry(OSSL_FUNC_SIGNATURE_NEWCTX, new_operation),
    entry(OSSL_FUNC_SIGNATURE_FREECTX, free_operation),
    entry(OSSL_FUNC_SIGNATURE_DUPCTX, copy_operation),
    entry(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sign_init_ec),
    entry(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, digest_sign),
    {0, nullptr},
};

} // namespace

const OSSL_ALGORITHM kSignatures[] = {
    {kRsaNames, kProperties, kRsa, "RSA signature by another process"},
    {kEcdsaName, kProperties, kEcdsa, "ECDSA signature by another process"},
    {nullptr, nullptr, nullptr, nullptr},
};

} // namespace tambo::provider

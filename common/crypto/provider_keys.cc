// Key management of the provider "tambo": everything about the public half is answered by the same
// key in the default provider.

#include "common/crypto/provider.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>

#include <cstring>
#include <string_view>

namespace tambo::provider {

namespace {

void* new_key(void* /*provider*/) {
    return new Key;
}

void free_key(void* key) {
    delete static_cast<Key*>(key);
}

int has(const void* data, int selection) {
    const auto* key = static_cast<const Key*>(data);
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && key->signer == nullptr) return 0;
    return key->public_key != nullptr ? 1 : 0;
}

int match(const void* left, const void* right, int /*selection*/) {
    const auto* a = static_cast<const Key*>(left);
    const auto* b = static_cast<const Key*>(right);
    if (a->public_key == nullptr || b->public_key == nullptr) return 0;
    return EVP_PKEY_eq(a->public_key.get(), b->public_key.get()) == 1 ? 1 : 0;
}

int get_params(void* data, OSSL_PARAM params[]) {
    const auto* key = static_cast<const Key*>(data);
    return key->public_key != nullptr ? EVP_PKEY_get_params(key->public_key.get(), params) : 0;
}

const OSSL_PARAM* gettable_params(void* /*provider*/) {
    static const OSSL_PARAM table[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, nullptr),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, nullptr),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, nullptr, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
        OSSL_PARAM_END,
    };
    return table;
}

// Either our own reference (make_key), or the public half of somebody else's key, which OpenSSL
// imports to compare it with ours.
int import(Key& key, const char* type, int selection, const OSSL_PARAM params[]) {
    if (const OSSL_PARAM* own = OSSL_PARAM_locate_const(params, "tambo-key")) {
        const Key* from = nullptr;
        if (own->data_type != OSSL_PARAM_OCTET_STRING || own->data_size != sizeof from) return 0;
        std::memcpy(&from, own->data, sizeof from);
        EVP_PKEY_up_ref(from->public_key.get());
        key.public_key.reset(from->public_key.get());
        key.signer = from->signer;
        key.id = from->id;
        return 1;
    }
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0) return 0;
    openssl::PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, "provider=default"));
    EVP_PKEY* imported = nullptr;
    // fromdata reads its parameters only, though it takes them as non-const.
    if (context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &imported, EVP_PKEY_PUBLIC_KEY,
                          const_cast<OSSL_PARAM*>(params)) != 1) {
        return 0;
    }
    key.public_key.reset(imported);
    return 1;
}

int import_rsa(void* key, int selection, const OSSL_PARAM params[]) {
    return import(*static_cast<Key*>(key), "RSA", selection, params);
}

int import_ec(void* key, int selection, const OSSL_PARAM params[]) {
    return import(*static_cast<Key*>(key), "EC", selection, params);
}

// The refusal of the private half is what makes OpenSSL come to our signature functions.
int export_public(void* data, int selection, OSSL_CALLBACK* callback, void* argument) {
    const auto* key = static_cast<const Key*>(data);
    if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 || key->public_key == nullptr) return 0;
    return EVP_PKEY_export(key->public_key.get(), EVP_PKEY_PUBLIC_KEY, callback, argument);
}

const OSSL_PARAM* rsa_types(int selection) {
    static const OSSL_PARAM table[] = {
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, nullptr, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, nullptr, 0),
        OSSL_PARAM_END,
    };
    return (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 ? table : nullptr;
}

const OSSL_PARAM* ec_types(int selection) {
    static const OSSL_PARAM table[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, nullptr, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, nullptr, 0),
        OSSL_PARAM_END,
    };
    return (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) != 0 ? table : nullptr;
}

const char* rsa_operation(int /*operation*/) {
    return "RSA";
}

const char* ec_operation(int operation) {
    return operation == OSSL_OP_SIGNATURE ? kEcdsaName : "EC";
}

const OSSL_DISPATCH kRsa[] = {
    entry(OSSL_FUNC_KEYMGMT_NEW, new_key),
    entry(OSSL_FUNC_KEYMGMT_FREE, free_key),
    entry(OSSL_FUNC_KEYMGMT_HAS, has),
    entry(OSSL_FUNC_KEYMGMT_MATCH, match),
    entry(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_params),
    entry(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, gettable_params),
    entry(OSSL_FUNC_KEYMGMT_IMPORT, import_rsa),
    entry(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, rsa_types),
    entry(OSSL_FUNC_KEYMGMT_EXPORT, export_public),
    entry(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, rsa_types),
    entry(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, rsa_operation),
    {0, nullptr},
};

const OSSL_DISPATCH kEc[] = {
    entry(OSSL_FUNC_KEYMGMT_NEW, new_key),
    entry(OSSL_FUNC_KEYMGMT_FREE, free_key),
    entry(OSSL_FUNC_KEYMGMT_HAS, has),
    entry(OSSL_FUNC_KEYMGMT_MATCH, match),
    entry(OSSL_FUNC_KEYMGMT_GET_PARAMS, get_params),
    entry(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, gettable_params),
    entry(OSSL_FUNC_KEYMGMT_IMPORT, import_ec),
    entry(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, ec_types),
    entry(OSSL_FUNC_KEYMGMT_EXPORT, export_public),
    entry(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, ec_types),
    entry(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation),
    {0, nullptr},
};

} // namespace

const OSSL_ALGORITHM kKeyManagement[] = {
    {kRsaNames, kProperties, kRsa, "RSA key in another process"},
    {kEcNames, kProperties, kEc, "EC key in another process"},
    {nullptr, nullptr, nullptr, nullptr},
};

} // namespace tambo::provider

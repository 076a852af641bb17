#include "common/crypto/provider.h"

#include "common/base/check.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>

namespace tambo::provider {

namespace {

const OSSL_ALGORITHM* query(void* /*provider*/, int operation, int* no_cache) {
    *no_cache = 0;
    if (operation == OSSL_OP_KEYMGMT) return kKeyManagement;
    if (operation == OSSL_OP_SIGNATURE) return kSignatures;
    return nullptr;
}

const OSSL_DISPATCH kProvider[] = {
    entry(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
    {0, nullptr},
};

int init(const OSSL_CORE_HANDLE* handle,
         const OSSL_DISPATCH* /*core*/,
         const OSSL_DISPATCH** out,
         void** provider_context) {
    *out = kProvider;
    *provider_context = const_cast<OSSL_CORE_HANDLE*>(handle); // any non-null pointer will do
    return 1;
}

OSSL_PROVIDER* loaded = nullptr;

} // namespace

bool load() {
    if (OSSL_PROVIDER_add_builtin(nullptr, "tambo", init) != 1) return false;
    loaded = OSSL_PROVIDER_load(nullptr, "tambo");
    return loaded != nullptr;
}

void unload() {
    OSSL_PROVIDER_unload(loaded);
}

openssl::Pkey make_key(EVP_PKEY* public_key, std::shared_ptr<KeySigner> signer, uint32_t key_id) {
    check(signer != nullptr, "a key has a signer");
    const char* type = EVP_PKEY_is_a(public_key, "RSA")  ? "RSA"
                       : EVP_PKEY_is_a(public_key, "EC") ? "EC"
                                                         : nullptr;
    if (type == nullptr) return nullptr;
    EVP_PKEY_up_ref(public_key);
    Key key{openssl::Pkey(public_key), std::move(signer), key_id};
    // import() of provider_keys.cc copies what the pointer refers to.
    Key* reference = &key;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string("tambo-key", &reference, sizeof reference),
        OSSL_PARAM_construct_end(),
    };
    openssl::PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, kProperties));
    EVP_PKEY* out = nullptr;
    const bool made = context != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1 &&
                      EVP_PKEY_fromdata(context.get(), &out, EVP_PKEY_KEYPAIR, parameters) == 1;
    check(made, "a key reference can be made");
    return openssl::Pkey(out);
}

} // namespace tambo::provider

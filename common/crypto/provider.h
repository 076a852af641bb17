// The OpenSSL provider "tambo": RSA and EC keys of which this process has only the public half.
// Signing hands the complete to-be-signed bytes to a KeySigner. There is deliberately no way to
// sign a digest, to decrypt, to generate or to export a private key. For .cc files of common/crypto
// only.
//
// How it works with libssl: a private key made by make_key() names its signature algorithm; OpenSSL
// tries the preferred provider first, which needs the private half exported, is refused, and then
// takes the implementation of the key's own provider (OpenSSL 3.0 crypto/evp/m_sigver.c).
#pragma once

#include "common/crypto/key_signer.h"
#include "common/crypto/openssl.h"

#include <memory>

namespace tambo::provider {

// Registers and loads the provider in the default library context. Once, by openssl::start().
bool load();
// At the end of the process.
void unload();

// A key for SSL_CTX_use_PrivateKey: the public half, and whom to ask for signatures by what id.
// nullptr if public_key is neither RSA nor EC.
openssl::Pkey make_key(EVP_PKEY* public_key, std::shared_ptr<KeySigner> signer, uint32_t key_id);

// What OpenSSL carries for us between the key management and the signature functions.
struct Key {
    openssl::Pkey public_key; // in the default provider
    std::shared_ptr<KeySigner> signer;
    uint32_t id = 0;
};

// The dispatch tables of the two operations (provider_keys.cc, provider_signature.cc).
extern const OSSL_ALGORITHM kKeyManagement[];
extern const OSSL_ALGORITHM kSignatures[];

// Names as in the default provider: OpenSSL compares key types by them.
inline constexpr const char* kRsaNames = "RSA:rsaEncryption:1.2.840.113549.1.1.1";
inline constexpr const char* kEcNames = "EC:id-ecPublicKey:1.2.840.10045.2.1";
inline constexpr const char* kEcdsaName = "ECDSA";
inline constexpr const char* kProperties = "provider=tambo";

// An entry of a dispatch table: OpenSSL wants every function as void(*)(void).
template <class F>
OSSL_DISPATCH entry(int id, F* function) {
    return OSSL_DISPATCH{id, reinterpret_cast<void (*)()>(function)};
}

} // namespace tambo::provider

// What kind of key an EVP_PKEY is. For .cc files of common/crypto only.
#pragma once

#include "common/base/result.h"
#include "common/crypto/key_signer.h"
#include "common/crypto/openssl.h"

#include <string>

namespace tambo::openssl {

// The type, or why this suite does not use such a key.
Result<KeyType> key_type(EVP_PKEY* key);
// "RSA 2048", "EC P-256", else OpenSSL's name of the type.
std::string key_description(EVP_PKEY* key);

} // namespace tambo::openssl

#include "common/crypto/key_type.h"

#include "common/base/text.h"

#include <string_view>

namespace tambo::openssl {

Result<KeyType> key_type(EVP_PKEY* key) {
    if (EVP_PKEY_is_a(key, "RSA") == 1) {
        const int bits = EVP_PKEY_get_bits(key);
        if (bits < 2048)
            return Err{cat("RSA key of ", bits, " bits is too short, 2048 are needed")};
        if (bits > 8192) return Err{cat("RSA key of ", bits, " bits is too long, at most 8192")};
        return KeyType::rsa;
    }
    if (EVP_PKEY_is_a(key, "EC") == 1) {
        char group[64] = "";
        size_t length = 0;
        EVP_PKEY_get_group_name(key, group, sizeof group, &length);
        const std::string_view name(group, length);
        if (name == "prime256v1" || name == "P-256") return KeyType::ec_p256;
        if (name == "secp384r1" || name == "P-384") return KeyType::ec_p384;
        return Err{
            cat("EC key on curve ", escape(name, 40), ", only P-256 and P-384 are supported")};
    }
    const char* type = EVP_PKEY_get0_type_name(key);
    return Err{cat("key of type ", type != nullptr ? type : "unknown", ", only RSA and EC work")};
}

std::string key_description(EVP_PKEY* key) {
    if (EVP_PKEY_is_a(key, "RSA") == 1) return cat("RSA ", EVP_PKEY_get_bits(key));
    if (EVP_PKEY_is_a(key, "EC") == 1) return cat("EC P-", EVP_PKEY_get_bits(key));
    const char* type = EVP_PKEY_get0_type_name(key);
    return type != nullptr ? type : "unknown";
}

} // namespace tambo::openssl

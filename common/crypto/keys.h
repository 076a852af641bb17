// Private keys: RSA (2048 bits and more), EC P-256 and P-384. They are in keyd, and for moments in
// the commands that make them; no network daemon ever has one.
#pragma once

#include "common/base/result.h"
#include "common/crypto/key_signer.h"

#include <memory>
#include <string>
#include <string_view>

struct evp_pkey_st;

namespace tambo {

// Cheap to copy; copies share the key, which is overwritten when the last goes.
class PrivateKey {
  public:
    // One unencrypted PEM block: PKCS #8, PKCS #1 (RSA) or SEC 1 (EC, EC PARAMETERS before it).
    // Errors are texts for the administrator and hold nothing of the input.
    static Result<PrivateKey> parse_pem(std::string_view pem);
    // The same from the start of an open regular file (at most 64 KiB), whatever its position.
    static Result<PrivateKey> read_pem(int fd);
    // A new key; RSA has 2048 bits.
    static PrivateKey generate(KeyType type);

    KeyType type() const { return type_; }
    // "RSA 2048", "EC P-256".
    std::string description() const;
    // PKCS #8, unencrypted: for the one place where it is written to a 0600 file.
    std::string pem() const;
    // SubjectPublicKeyInfo in DER.
    std::string public_key() const;

    // Signs any bytes with any scheme of this key type: whoever calls it answers for what it signs
    // (tls_sign_policy.h). An error if the scheme is for another type of key.
    Result<std::string> sign(SignScheme scheme, std::string_view tbs) const;

    // For crypto/ only.
    evp_pkey_st* get() const { return key_.get(); }

  private:
    PrivateKey(std::shared_ptr<evp_pkey_st> key, KeyType type)
        : key_(std::move(key)), type_(type) {}
    std::shared_ptr<evp_pkey_st> key_;
    KeyType type_;
};

// What a key is called between a network daemon and keyd: both know its public half, so neither
// depends on the order of files or on when the other one was reloaded. The first four bytes of
// SHA-256 of SubjectPublicKeyInfo.
uint32_t key_id(std::string_view public_key_der);

// Keeps private keys that are read from now on in memory that is neither swapped nor dumped. Once,
// before the first key and before the sandbox; false if the kernel refused to lock it.
bool lock_key_memory();

} // namespace tambo

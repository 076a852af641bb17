// The seam between a TLS handshake and the process that has the private key. A network daemon never
// holds a key: its handshake asks a KeySigner, which asks keyd (datagram_signer.h) or, in keyd and
// in tests, the keys of this process (key_ring.h).
#pragma once

#include "common/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tambo {

// TLS SignatureScheme code points (RFC 8446 4.2.3, RFC 8422): all that this suite signs with.
enum class SignScheme : uint16_t {
    rsa_pkcs1_sha256 = 0x0401, // TLS 1.2 only
    rsa_pkcs1_sha384 = 0x0501,
    rsa_pkcs1_sha512 = 0x0601,
    ecdsa_sha256 = 0x0403, // with P-256 in TLS 1.3, with any curve in TLS 1.2
    ecdsa_sha384 = 0x0503, // with P-384 in TLS 1.3
    rsa_pss_rsae_sha256 = 0x0804,
    rsa_pss_rsae_sha384 = 0x0805,
    rsa_pss_rsae_sha512 = 0x0806,
};

enum class KeyType : uint8_t { rsa = 1, ec_p256 = 2, ec_p384 = 3 };

// What the bytes claim to be. The signing side checks the claim (tls_sign_policy.h).
enum class SignKind : uint8_t {
    tls13_certificate_verify = 1,  // RFC 8446 4.4.3
    tls12_server_key_exchange = 2, // RFC 8422 5.4
};

// tbs is the whole content to be signed, never a digest; the view lives as long as the call.
struct SignRequest {
    uint32_t key_id = 0;
    SignKind kind = SignKind::tls13_certificate_verify;
    SignScheme scheme = SignScheme::ecdsa_sha256;
    std::string_view tbs;
};

// Called in the middle of a handshake, so it blocks: at most one second. An error is a text for the
// log; the handshake then fails. Never throws.
class KeySigner {
  public:
    virtual ~KeySigner() = default;
    // The signature: DER for ECDSA, as long as the modulus for RSA.
    virtual Result<std::string> sign(const SignRequest& request) = 0;
};

} // namespace tambo

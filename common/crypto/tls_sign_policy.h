// What a TLS server key may sign: a CertificateVerify of a TLS 1.3 server or a ServerKeyExchange of
// TLS 1.2 with one of our groups, and nothing else. keyd asks this before every signature, so a
// hijacked network daemon can finish handshakes while it lives, but can sign no certificate, no
// mail and no other protocol's message. Pure; also the table of the groups that contexts offer.
#pragma once

#include "common/crypto/key_signer.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tambo {

// The key exchange groups of our servers: name in the configuration of OpenSSL, code point
// (RFC 8446 4.2.7), length of the server's share in bytes, first byte of it (0: any).
struct TlsGroup {
    std::string_view name;
    uint16_t code;
    size_t point_bytes;
    uint8_t first_byte;
};
inline constexpr TlsGroup kTlsGroups[] = {
    {"X25519", 0x001d, 32, 0}, {"P-256", 0x0017, 65, 4}, // RFC 8422 5.4: uncompressed points only
};

// What content is meant to be, by how it begins. Says nothing about the rest.
SignKind sign_kind_of(std::string_view content);

// Why a key of this type must not answer the request; nullopt if it may. Texts are for the log and
// name no bytes of the request.
std::optional<std::string_view> refuse_tls_signature(const SignRequest& request, KeyType key);

} // namespace tambo

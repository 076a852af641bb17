// What smtpd, imapd and pop3d ask keyd: signatures of TLS handshakes, never a raw operation. These
// requests are blocking on the asking side for at most a second (a TLS library cannot wait).
#pragma once

#include "common/ipc/frame.h"

#include <cstdint>
#include <string>
#include <vector>

namespace tambo::ipc {

enum class SignKind : uint8_t {
    tls13_certificate_verify,
    tls12_server_key_exchange,
    last_ = tls12_server_key_exchange
};

enum class SignScheme : uint8_t {
    rsa_pss_sha256,
    rsa_pss_sha384,
    rsa_pss_sha512,
    rsa_pkcs1_sha256,
    rsa_pkcs1_sha384,
    rsa_pkcs1_sha512,
    ecdsa_sha256,
    ecdsa_sha384,
    ecdsa_sha512,
    last_ = ecdsa_sha512
};

struct Signature {
    bool ok = false;
    std::string bytes;
    std::string error;
    template <class V> void visit(V& v) { v(ok, bytes, error); }
};

struct Sign {
    static constexpr uint16_t kType = 0x0901;
    static constexpr Loss kLoss = Loss::fail;
    using Reply = Signature;
    uint32_t key_id = 0; // position in tls.key, from 1
    SignKind kind = SignKind::tls13_certificate_verify;
    SignScheme scheme = SignScheme::ecdsa_sha256;
    std::string to_be_signed; // the whole content that the protocol defines, not a digest
    template <class V> void visit(V& v) { v(key_id, kind, scheme, to_be_signed); }
};

} // namespace tambo::ipc

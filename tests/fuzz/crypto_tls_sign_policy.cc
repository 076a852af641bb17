// Whatever the policy lets through must be one of the few byte strings that a TLS server signs:
// they are built here a second time, from the free bytes alone, and compared.

#include "common/base/check.h"
#include "common/crypto/tls_sign_policy.h"

#include <cstdint>
#include <string>

using namespace tambo;

namespace {

bool is_verify(std::string_view tbs) {
    for (const size_t hash_bytes : {32u, 48u}) {
        if (tbs.size() < hash_bytes) continue;
        const auto hash = tbs.substr(tbs.size() - hash_bytes);
        const auto rebuilt = std::string(64, ' ') + "TLS 1.3, server CertificateVerify" +
                             std::string(1, '\0') + std::string(hash);
        if (rebuilt == tbs) return true;
    }
    return false;
}

bool is_exchange(std::string_view tbs) {
    if (tbs.size() < 64) return false;
    const auto randoms = std::string(tbs.substr(0, 64));
    if (tbs.size() == 64 + 4 + 32) {
        return randoms + std::string("\x03\x00\x1d\x20", 4) + std::string(tbs.substr(68)) == tbs;
    }
    if (tbs.size() == 64 + 4 + 65) {
        return randoms + std::string("\x03\x00\x17\x41\x04", 5) + std::string(tbs.substr(69)) ==
               tbs;
    }
    return false;
}

} // namespace

// {kind, scheme high, scheme low, key type, the bytes to be signed}
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 4) return 0;
    SignRequest request;
    request.kind = static_cast<SignKind>(data[0]);
    request.scheme = static_cast<SignScheme>(data[1] << 8 | data[2]);
    request.tbs = {reinterpret_cast<const char*>(data + 4), size - 4};
    const auto key = static_cast<KeyType>(1 + data[3] % 3);
    if (refuse_tls_signature(request, key)) return 0;
    const bool tls13 = request.kind == SignKind::tls13_certificate_verify;
    check(tls13 || request.kind == SignKind::tls12_server_key_exchange, "a known kind");
    check(tls13 ? is_verify(request.tbs) : is_exchange(request.tbs),
          "exactly a handshake's content");
    check(sign_kind_of(request.tbs) == request.kind, "one content, one kind");
    const bool ecdsa =
        request.scheme == SignScheme::ecdsa_sha256 || request.scheme == SignScheme::ecdsa_sha384;
    check(ecdsa == (key != KeyType::rsa), "a scheme for this key");
    return 0;
}

#include "common/crypto/tls_sign_policy.h"

#include <algorithm>

namespace tambo {

namespace {

constexpr size_t kBlanks = 64;       // RFC 8446 4.4.3
constexpr size_t kRandomsBytes = 64; // client_random and server_random, 32 each
constexpr uint8_t kNamedCurve = 3;   // RFC 8422 5.4, ECCurveType
constexpr std::string_view kServerContext = "TLS 1.3, server CertificateVerify";

bool begins_with_blanks(std::string_view content) {
    return content.size() >= kBlanks &&
           content.substr(0, kBlanks).find_first_not_of(' ') == std::string_view::npos;
}

uint8_t byte_at(std::string_view content, size_t at) {
    return static_cast<uint8_t>(content[at]);
}

// RFC 8446 4.4.3: 64 blanks, the context string, NUL, the transcript hash.
bool is_certificate_verify(std::string_view content) {
    if (!begins_with_blanks(content)) return false;
    content.remove_prefix(kBlanks);
    if (!content.starts_with(kServerContext)) return false;
    content.remove_prefix(kServerContext.size());
    if (content.empty() || content.front() != '\0') return false;
    const size_t hash_bytes = content.size() - 1;
    return hash_bytes == 32 || hash_bytes == 48; // the hashes of the TLS 1.3 cipher suites
}

// RFC 8422 5.4: both randoms, then ECCurveType, NamedCurve, and the point with its length.
bool is_server_key_exchange(std::string_view content) {
    constexpr size_t head = kRandomsBytes + 4;
    if (content.size() < head || byte_at(content, kRandomsBytes) != kNamedCurve) return false;
    const auto code = static_cast<uint16_t>(byte_at(content, kRandomsBytes + 1) << 8 |
                                            byte_at(content, kRandomsBytes + 2));
    const size_t point_bytes = byte_at(content, kRandomsBytes + 3);
    const auto* group = std::find_if(std::begin(kTlsGroups), std::end(kTlsGroups),
                                     [code](const TlsGroup& g) { return g.code == code; });
    if (group == std::end(kTlsGroups) || point_bytes != group->point_bytes) return false;
    if (content.size() != head + point_bytes) return false;
    return group->first_byte == 0 || byte_at(content, head) == group->first_byte;
}

bool is_tls13(SignKind kind) {
    return kind == SignKind::tls13_certificate_verify;
}

// RFC 8446 4.2.3: TLS 1.3 has no PKCS #1 signatures and ties each ECDSA hash to a curve.
bool scheme_fits(SignScheme scheme, SignKind kind, KeyType key) {
    switch (scheme) {
    case SignScheme::rsa_pkcs1_sha256:
    case SignScheme::rsa_pkcs1_sha384:
    case SignScheme::rsa_pkcs1_sha512:
        return key == KeyType::rsa && !is_tls13(kind);
    case SignScheme::rsa_pss_rsae_sha256:
    case SignScheme::rsa_pss_rsae_sha384:
    case SignScheme::rsa_pss_rsae_sha512:
        return key == KeyType::rsa;
    case SignScheme::ecdsa_sha256:
        return key == KeyType::ec_p256 || (key == KeyType::ec_p384 && !is_tls13(kind));
    case SignScheme::ecdsa_sha384:
        return key == KeyType::ec_p384 || (key == KeyType::ec_p256 && !is_tls13(kind));
    }
    return false; // a number from a peer that is none of ours
}

} // namespace

SignKind sign_kind_of(std::string_view content) {
    return begins_with_blanks(content) ? SignKind::tls13_certificate_verify
                                       : SignKind::tls12_server_key_exchange;
}

std::optional<std::string_view> refuse_tls_signature(const SignRequest& request, KeyType key) {
    switch (request.kind) {
    case SignKind::tls13_certificate_verify:
        if (!is_certificate_verify(request.tbs)) return "not a TLS 1.3 server CertificateVerify";
        break;
    case SignKind::tls12_server_key_exchange:
        // The randoms are the client's and the server's choice: blanks there must not make it
        // ambiguous what was signed.
        if (begins_with_blanks(request.tbs) || !is_server_key_exchange(request.tbs)) {
            return "not a TLS 1.2 ServerKeyExchange";
        }
        break;
    default:
        return "unknown kind of signature";
    }
    if (!scheme_fits(request.scheme, request.kind, key)) return "scheme does not fit key and kind";
    return std::nullopt;
}

} // namespace tambo

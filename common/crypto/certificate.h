// X.509 certificates as they stand in configuration files: reading them, and saying what is wrong
// with them in words an administrator understands. Pure values; no OpenSSL in this header.
#pragma once

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/crypto/keys.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo {

struct Certificate {
    std::string der;
    std::string subject; // one line, RFC 2253, escaped: "CN=mail.example.org"
    std::string issuer;
    std::vector<std::string> dns_names;    // subjectAltName, lower case, "*.example.org" included
    std::vector<std::string> ip_addresses; // subjectAltName, as text
    UtcTime not_before, not_after;
    std::string fingerprint;     // SHA-256 of der, in hex
    std::string public_key;      // SubjectPublicKeyInfo in DER (RFC 6698: TLSA 3 1 1 hashes this)
    std::string key_description; // "RSA 2048", "EC P-256"
    bool is_ca = false;

    // The host name or address literal is in subjectAltName (RFC 6125 6.4; one leading "*." label).
    bool names_host(std::string_view host) const;
};

// A chain as in fullchain.pem: the leaf first, at most 10 certificates. Text between the blocks is
// ignored; a private key or any other kind of block is an error, because this text goes to network
// daemons. Duplicates of a certificate are dropped.
Result<std::vector<Certificate>> parse_certificate_chain(std::string_view pem);
// A bundle of trusted roots in any order, at most 1 MiB; blocks that cannot be read are errors.
Result<std::vector<Certificate>> parse_certificate_bundle(std::string_view pem);
// The PEM form of one certificate.
std::string certificate_pem(const Certificate& certificate);

enum class CertificateTime { valid, not_yet, expired };
CertificateTime check_time(const Certificate& certificate, UtcTime now);

// What makes a chain useless for a TLS server, as sentences without the file's name: a key of
// another certificate, a type of key that is not supported. Empty if it will do. key may be nullptr
// where it is not known.
std::vector<std::string> chain_errors(const std::vector<Certificate>& chain, const PrivateKey* key);
// What clients may refuse, now or soon: expired, not valid yet, no name in subjectAltName, wrong
// order.
std::vector<std::string> chain_warnings(const std::vector<Certificate>& chain, UtcTime now);

// Both in one list.
std::vector<std::string> chain_problems(const std::vector<Certificate>& chain,
                                        const PrivateKey* key,
                                        UtcTime now);

// The question of chain_errors() about two files, which may also be unreadable; in one line.
// nullopt if a server can use them.
std::optional<std::string> check_server_certificate(std::string_view certificate_pem,
                                                    std::string_view key_pem);

} // namespace tambo

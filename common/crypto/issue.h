// Making certificates: a self-signed one for a new installation, and a small certification
// authority of one's own for `tambo quickstart` and `./dev up`. Not a PKI: one root, leaves under
// it, no revocation.
#pragma once

#include "common/base/result.h"
#include "common/base/time.h"
#include "common/crypto/keys.h"

#include <string>
#include <vector>

namespace tambo {

struct CertificateSpec {
    std::vector<std::string> dns_names;    // A-labels; the first becomes the common name if it fits
    std::vector<std::string> ip_addresses; // as text
    UtcTime not_before;
    int days = 397;
};

// A server certificate in PEM, signed by its own key. Errors: no name at all, a name that is not a
// host name (a leading "*." is allowed), a malformed address.
Result<std::string> self_signed_certificate(const PrivateKey& key, const CertificateSpec& spec);

// A root certificate and the key that signs under it (path length 0).
class CertificateAuthority {
  public:
    static CertificateAuthority create(std::string_view name, UtcTime not_before, int days);
    // The root from files; the key must belong to the certificate and that must be a CA.
    static Result<CertificateAuthority> load(std::string_view certificate_pem, PrivateKey key);

    const std::string& certificate_pem() const { return certificate_pem_; }
    const PrivateKey& key() const { return key_; }
    // A server certificate for the public half of leaf, in PEM, without the root.
    Result<std::string> issue(const PrivateKey& leaf, const CertificateSpec& spec) const;

  private:
    CertificateAuthority(PrivateKey key, std::string pem)
        : key_(std::move(key)), certificate_pem_(std::move(pem)) {}
    PrivateKey key_;
    std::string certificate_pem_;
};

} // namespace tambo

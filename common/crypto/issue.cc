#include "common/crypto/issue.h"

#include "common/base/text.h"
#include "common/crypto/certificate.h"
#include "common/crypto/host_name.h"
#include "common/crypto/openssl.h"

#include <openssl/pem.h>
#include <openssl/rand.h>

#include <arpa/inet.h>

namespace tambo {

namespace {

constexpr size_t kCommonNameMax = 64; // RFC 5280 A.1, ub-common-name

void set_serial(X509* x509) {
    unsigned char random[16];
    check(RAND_bytes(random, sizeof random) == 1, "random bytes");
    random[0] = static_cast<unsigned char>((random[0] & 0x7f) | 0x40); // positive, full length
    openssl::Owner<BIGNUM, BN_free> number(BN_bin2bn(random, sizeof random, nullptr));
    check(number != nullptr &&
              BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509)) != nullptr,
          "a serial number");
}

void set_times(X509* x509, UtcTime not_before, int days) {
    check(ASN1_TIME_set(X509_getm_notBefore(x509), not_before.seconds()) != nullptr &&
              ASN1_TIME_set(X509_getm_notAfter(x509),
                            not_before.seconds() + int64_t{days} * 86'400) != nullptr,
          "times of a certificate");
}

openssl::X509Cert new_certificate(EVP_PKEY* key, UtcTime not_before, int days) {
    openssl::X509Cert x509(X509_new());
    check(x509 != nullptr && X509_set_version(x509.get(), X509_VERSION_3) == 1 &&
              X509_set_pubkey(x509.get(), key) == 1,
          "a certificate can be made");
    set_serial(x509.get());
    set_times(x509.get(), not_before, days);
    return x509;
}

// name: at most kCommonNameMax bytes.
void set_common_name(X509_NAME* name, std::string_view text) {
    check(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, openssl::bytes(text),
                                     static_cast<int>(text.size()), -1, 0) == 1,
          "a common name");
}

// issuer: the issuing certificate, for its key identifier; may be x509 itself.
void add_extension(X509* x509, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
    openssl::Owner<X509_EXTENSION, X509_EXTENSION_free> extension(
        X509V3_EXT_conf_nid(nullptr, &context, nid, value));
    check(extension != nullptr && X509_add_ext(x509, extension.get(), -1) == 1, "an extension");
}

bool is_address(const std::string& text) {
    unsigned char buffer[16];
    return ::inet_pton(AF_INET, text.c_str(), buffer) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), buffer) == 1;
}

// The value of subjectAltName in OpenSSL's notation. Names were checked: no comma can be in them.
Result<std::string> alternative_names(const CertificateSpec& spec) {
    std::string out;
    for (const auto& name : spec.dns_names) {
        const auto host = name.starts_with("*.") ? std::string_view(name).substr(2) : name;
        if (!is_host_name(host)) return Err{cat("not a host name: ", escape(name, 100))};
        out += cat(out.empty() ? "" : ",", "DNS:", to_lower(name));
    }
    for (const auto& address : spec.ip_addresses) {
        if (!is_address(address)) return Err{cat("not an IP address: ", escape(address, 100))};
        out += cat(out.empty() ? "" : ",", "IP:", address);
    }
    if (out.empty()) return Err{"a certificate needs at least one name"};
    return out;
}

// The certificate without issuer name and signature.
Result<openssl::X509Cert> server_certificate(const PrivateKey& key, const CertificateSpec& spec) {
    auto names = alternative_names(spec);
    if (!names) return Err{names.error()};
    auto x509 = new_certificate(key.get(), spec.not_before, spec.days);
    if (!spec.dns_names.empty() && spec.dns_names.front().size() <= kCommonNameMax) {
        set_common_name(X509_get_subject_name(x509.get()), spec.dns_names.front());
    }
    add_extension(x509.get(), x509.get(), NID_basic_constraints, "critical,CA:FALSE");
    add_extension(x509.get(), x509.get(), NID_key_usage,
                  key.type() == KeyType::rsa ? "critical,digitalSignature,keyEncipherment"
                                             : "critical,digitalSignature");
    add_extension(x509.get(), x509.get(), NID_ext_key_usage, "serverAuth");
    add_extension(x509.get(), x509.get(), NID_subject_alt_name, names->c_str());
    add_extension(x509.get(), x509.get(), NID_subject_key_identifier, "hash");
    return x509;
}

std::string sign_and_encode(X509* x509, const PrivateKey& key) {
    const EVP_MD* hash = key.type() == KeyType::ec_p384 ? EVP_sha384() : EVP_sha256();
    check(X509_sign(x509, key.get(), hash) > 0, "a certificate can be signed");
    openssl::Bio bio(BIO_new(BIO_s_mem()));
    check(bio != nullptr && PEM_write_bio_X509(bio.get(), x509) == 1, "memory");
    return openssl::bio_bytes(bio.get());
}

openssl::X509Cert read_certificate(const std::string& pem) {
    const auto bio = openssl::memory_bio(pem);
    openssl::X509Cert x509(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    check(x509 != nullptr, "our own certificate can be read");
    return x509;
}

} // namespace

Result<std::string> self_signed_certificate(const PrivateKey& key, const CertificateSpec& spec) {
    openssl::start();
    auto x509 = server_certificate(key, spec);
    if (!x509) return Err{x509.error()};
    X509_set_issuer_name(x509->get(), X509_get_subject_name(x509->get()));
    return sign_and_encode(x509->get(), key);
}

CertificateAuthority
CertificateAuthority::create(std::string_view name, UtcTime not_before, int days) {
    auto key = PrivateKey::generate(KeyType::ec_p256);
    auto x509 = new_certificate(key.get(), not_before, days);
    set_common_name(X509_get_subject_name(x509.get()), name.substr(0, kCommonNameMax));
    X509_set_issuer_name(x509.get(), X509_get_subject_name(x509.get()));
    add_extension(x509.get(), x509.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
    add_extension(x509.get(), x509.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(x509.get(), x509.get(), NID_subject_key_identifier, "hash");
    auto pem = sign_and_encode(x509.get(), key);
    return CertificateAuthority(std::move(key), std::move(pem));
}

Result<CertificateAuthority> CertificateAuthority::load(std::string_view pem, PrivateKey key) {
    const auto chain = parse_certificate_chain(pem);
    if (!chain) return Err{chain.error()};
    const Certificate& root = chain.value().front();
    if (!root.is_ca) return Err{cat("certificate ", root.subject, " is not a CA")};
    if (root.public_key != key.public_key()) {
        return Err{cat("the private key does not belong to certificate ", root.subject)};
    }
    return CertificateAuthority(std::move(key), tambo::certificate_pem(root));
}

Result<std::string> CertificateAuthority::issue(const PrivateKey& leaf,
                                                const CertificateSpec& spec) const {
    auto x509 = server_certificate(leaf, spec);
    if (!x509) return Err{x509.error()};
    const auto root = read_certificate(certificate_pem_);
    X509_set_issuer_name(x509->get(), X509_get_subject_name(root.get()));
    add_extension(x509->get(), root.get(), NID_authority_key_identifier, "keyid:always");
    return sign_and_encode(x509->get(), key_);
}

} // namespace tambo

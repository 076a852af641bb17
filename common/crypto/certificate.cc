#include "common/crypto/certificate.h"

#include "common/base/text.h"
#include "common/crypto/digest.h"
#include "common/crypto/key_type.h"
#include "common/crypto/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <arpa/inet.h>

#include <algorithm>
#include <climits>
#include <ctime>

namespace tambo {

namespace {

constexpr size_t kChainMax = 10;
constexpr size_t kChainBytesMax = 256 * 1024;
constexpr size_t kBundleBytesMax = 1 << 20;

std::string name_text(const X509_NAME* name) {
    openssl::Bio bio(BIO_new(BIO_s_mem()));
    check(bio != nullptr, "memory");
    X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
    return escape(openssl::bio_bytes(bio.get()), 300);
}

UtcTime time_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return UtcTime{};
    CivilTime civil;
    civil.year = parts.tm_year + 1900;
    civil.month = parts.tm_mon + 1;
    civil.day = parts.tm_mday;
    civil.hour = parts.tm_hour;
    civil.minute = parts.tm_min;
    civil.second = std::min(parts.tm_sec, 59);
    return from_civil(civil);
}

std::string_view view(const ASN1_STRING* string) {
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
            static_cast<size_t>(ASN1_STRING_length(string))};
}

void add_name(Certificate& out, const GENERAL_NAME& name) {
    if (name.type == GEN_DNS) {
        const auto text = view(name.d.dNSName);
        // A NUL or blank inside would be a name that looks like another one.
        if (text.empty() || !std::all_of(text.begin(), text.end(), [](char c) {
                return is_alnum(c) || c == '-' || c == '.' || c == '*' || c == '_';
            })) {
            return;
        }
        out.dns_names.push_back(to_lower(text));
    } else if (name.type == GEN_IPADD) {
        const auto address = view(name.d.iPAddress);
        if (address.size() != 4 && address.size() != 16) return;
        char text[INET6_ADDRSTRLEN] = "";
        ::inet_ntop(address.size() == 4 ? AF_INET : AF_INET6, address.data(), text, sizeof text);
        out.ip_addresses.emplace_back(text);
    }
}

void add_names(Certificate& out, const X509* x509) {
    openssl::Owner<GENERAL_NAMES, GENERAL_NAMES_free> names(static_cast<GENERAL_NAMES*>(
        X509_get_ext_d2i(x509, NID_subject_alt_name, nullptr, nullptr)));
    const int count = names != nullptr ? sk_GENERAL_NAME_num(names.get()) : 0;
    for (int i = 0; i < count; ++i)
        add_name(out, *sk_GENERAL_NAME_value(names.get(), i));
}

Result<Certificate> read_der(std::string_view der) {
    const unsigned char* at = openssl::bytes(der);
    openssl::X509Cert x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
    if (x509 == nullptr || at != openssl::bytes(der) + der.size()) {
        return Err{cat("unreadable certificate: ", openssl::take_error("malformed"))};
    }
    EVP_PKEY* key = X509_get0_pubkey(x509.get());
    if (key == nullptr) {
        return Err{cat("unreadable public key: ", openssl::take_error("malformed"))};
    }
    Certificate out;
    out.der = der;
    out.subject = name_text(X509_get_subject_name(x509.get()));
    out.issuer = name_text(X509_get_issuer_name(x509.get()));
    out.not_before = time_of(X509_get0_notBefore(x509.get()));
    out.not_after = time_of(X509_get0_notAfter(x509.get()));
    out.fingerprint = to_hex(sha256(der));
    out.public_key = openssl::public_key_der(key);
    out.key_description = openssl::key_description(key);
    out.is_ca = X509_check_ca(x509.get()) > 0;
    add_names(out, x509.get());
    return out;
}

// One PEM block; nullopt at the end of the text.
struct Block {
    std::string type, der;
};
std::optional<Block> next_block(BIO* bio) {
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long length = 0;
    if (PEM_read_bio(bio, &name, &header, &data, &length) != 1) return std::nullopt;
    Block block{name, std::string(reinterpret_cast<char*>(data), static_cast<size_t>(length))};
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(data, static_cast<size_t>(length));
    return block;
}

Result<std::vector<Certificate>>
parse_pem(std::string_view pem, size_t bytes_max, size_t count_max) {
    openssl::start();
    if (pem.size() > bytes_max) return Err{cat("larger than ", bytes_max / 1024, " KiB")};
    const auto bio = openssl::memory_bio(pem);
    std::vector<Certificate> out;
    while (auto block = next_block(bio.get())) {
        if (block->type != "CERTIFICATE") {
            const bool secret = block->type.find("PRIVATE KEY") != std::string::npos;
            wipe(block->der);
            if (secret) return Err{"holds a private key; keys belong into a file of their own"};
            return Err{cat("holds a block \"", escape(block->type, 40), "\" beside certificates")};
        }
        auto certificate = read_der(block->der);
        if (!certificate) return Err{cat("block ", out.size() + 1, ": ", certificate.error())};
        const bool known = std::any_of(out.begin(), out.end(), [&](const Certificate& c) {
            return c.fingerprint == certificate->fingerprint;
        });
        if (!known) out.push_back(std::move(*certificate));
        if (out.size() > count_max) return Err{cat("more than ", count_max, " certificates")};
    }
    const auto reason = ERR_GET_REASON(ERR_peek_last_error());
    const auto why = openssl::take_error("");
    if (reason != PEM_R_NO_START_LINE) return Err{cat("damaged PEM block: ", why)};
    if (out.empty()) return Err{"no certificate in the file"};
    return out;
}

openssl::X509Cert to_x509(const Certificate& certificate) {
    const unsigned char* at = openssl::bytes(certificate.der);
    openssl::X509Cert x509(d2i_X509(nullptr, &at, static_cast<long>(certificate.der.size())));
    check(x509 != nullptr, "a certificate that was read before");
    return x509;
}

} // namespace

bool Certificate::names_host(std::string_view host) const {
    const auto name = to_lower(host);
    if (std::find(ip_addresses.begin(), ip_addresses.end(), name) != ip_addresses.end())
        return true;
    const auto is_name = [&](const std::string& n) { return n == name; };
    if (std::any_of(dns_names.begin(), dns_names.end(), is_name)) return true;
    const auto dot = name.find('.');
    if (dot == std::string::npos || dot == 0) return false;
    const auto wildcard = cat('*', std::string_view(name).substr(dot));
    return std::find(dns_names.begin(), dns_names.end(), wildcard) != dns_names.end();
}

Result<std::vector<Certificate>> parse_certificate_chain(std::string_view pem) {
    return parse_pem(pem, kChainBytesMax, kChainMax);
}

Result<std::vector<Certificate>> parse_certificate_bundle(std::string_view pem) {
    return parse_pem(pem, kBundleBytesMax, SIZE_MAX);
}

std::string certificate_pem(const Certificate& certificate) {
    openssl::start();
    const auto x509 = to_x509(certificate);
    openssl::Bio bio(BIO_new(BIO_s_mem()));
    check(bio != nullptr && PEM_write_bio_X509(bio.get(), x509.get()) == 1, "memory");
    return openssl::bio_bytes(bio.get());
}

CertificateTime check_time(const Certificate& certificate, UtcTime now) {
    if (now < certificate.not_before) return CertificateTime::not_yet;
    return now > certificate.not_after ? CertificateTime::expired : CertificateTime::valid;
}

namespace {

void add_time_problems(std::vector<std::string>& out, const Certificate& c, UtcTime now) {
    switch (check_time(c, now)) {
    case CertificateTime::valid:
        return;
    case CertificateTime::not_yet:
        out.push_back(
            cat("certificate ", c.subject, " is not valid before ", format_rfc3339(c.not_before)));
        return;
    case CertificateTime::expired:
        out.push_back(cat("certificate ", c.subject, " expired at ", format_rfc3339(c.not_after)));
        return;
    }
}

} // namespace

std::vector<std::string> chain_errors(const std::vector<Certificate>& chain,
                                      const PrivateKey* key) {
    openssl::start();
    if (chain.empty()) return {"no certificate"};
    std::vector<std::string> out;
    const Certificate& leaf = chain.front();
    const auto x509 = to_x509(leaf);
    EVP_PKEY* public_key = X509_get0_pubkey(x509.get());
    if (const auto type = openssl::key_type(public_key); !type) out.push_back(type.error());
    if (key != nullptr && EVP_PKEY_eq(public_key, key->get()) != 1) {
        out.push_back(cat("the private key (", key->description(),
                          ") does not belong to certificate ", leaf.subject, " (",
                          leaf.key_description, ")"));
    }
    static_cast<void>(openssl::take_error(""));
    return out;
}

std::vector<std::string> chain_warnings(const std::vector<Certificate>& chain, UtcTime now) {
    openssl::start();
    std::vector<std::string> out;
    for (size_t i = 0; i < chain.size(); ++i) {
        const Certificate& c = chain[i];
        if (i == 0 && c.dns_names.empty() && c.ip_addresses.empty()) {
            out.push_back(cat("certificate ", c.subject, " has no host name in subjectAltName"));
        }
        add_time_problems(out, c, now);
        if (i == 0) continue;
        const Certificate& issued = chain[i - 1];
        if (X509_check_issued(to_x509(c).get(), to_x509(issued).get()) != X509_V_OK) {
            out.push_back(cat("certificate ", i + 1, " (", c.subject,
                              ") did not issue certificate ", i, " (", issued.subject,
                              "): wrong order or a foreign certificate"));
        }
    }
    static_cast<void>(openssl::take_error(""));
    return out;
}

std::vector<std::string>
chain_problems(const std::vector<Certificate>& chain, const PrivateKey* key, UtcTime now) {
    auto out = chain_errors(chain, key);
    for (auto& warning : chain_warnings(chain, now)) out.push_back(std::move(warning));
    return out;
}

std::optional<std::string> check_server_certificate(std::string_view certificate_pem,
                                                    std::string_view key_pem) {
    const auto chain = parse_certificate_chain(certificate_pem);
    if (!chain) return chain.error();
    const auto key = PrivateKey::parse_pem(key_pem);
    if (!key) return key.error();
    std::string out;
    for (const auto& error : chain_errors(*chain, &*key)) {
        out += cat(out.empty() ? "" : "; ", error);
    }
    if (out.empty()) return std::nullopt;
    return out;
}

} // namespace tambo

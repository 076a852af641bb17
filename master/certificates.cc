#include "master/certificates.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/crypto/certificate.h"
#include "common/crypto/digest.h"
#include "common/crypto/issue.h"
#include "common/crypto/keys.h"
#include "common/sys/error.h"
#include "common/sys/file.h"
#include "common/sys/log.h"

#include <fcntl.h>

#include <system_error>

namespace tambo::master {

namespace {

constexpr size_t kPemBytesMax = 1u << 20;
constexpr int kDays = 3650; // nobody renews it; whoever minds has a real one
constexpr const char* kCertificate = "self-signed.pem";
constexpr const char* kKey = "self-signed.key";

bool is_usable(int keys, const std::string& hostname) {
    const UniqueFd certificate(::openat(keys, kCertificate, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    const UniqueFd key(::openat(keys, kKey, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!certificate.valid() || !key.valid()) return false;
    const std::string pem = read_whole(certificate.get(), kPemBytesMax, kCertificate);
    std::string key_pem = read_whole(key.get(), kPemBytesMax, kKey);
    const bool fits = !check_server_certificate(pem, key_pem);
    wipe(key_pem);
    if (!fits) return false;
    const auto chain = parse_certificate_chain(pem);
    return chain && !chain->empty() && chain->front().names_host(hostname);
}

void make(int keys, const std::string& hostname, const Users& users, UtcTime now) {
    const PrivateKey key = PrivateKey::generate(KeyType::ec_p256);
    CertificateSpec spec;
    spec.dns_names = {hostname};
    spec.not_before = UtcTime{now.ms - 86'400'000}; // clocks of clients differ
    spec.days = kDays;
    const auto certificate = self_signed_certificate(key, spec);
    check(certificate.ok(), "a self-signed certificate for a valid host name");
    write_file_atomically(keys, kKey, key.pem(), 0600);
    write_file_atomically(keys, kCertificate, *certificate, 0644);
    for (const char* name : {kKey, kCertificate}) {
        if (!users.privileged()) break;
        if (::fchownat(keys, name, users.uid("_tambo-key"), users.gid("_tambo-key"),
                       AT_SYMLINK_NOFOLLOW) != 0) {
            throw_errno(cat("chown keys/", name));
        }
    }
    log::Event("tls.self_signed", log::Level::notice).with("hostname", hostname);
}

} // namespace

std::vector<std::string> certificate_warnings(const conf::Config& config, UtcTime now) {
    std::vector<std::string> sentences;
    for (const auto& path : config.tls.certificate) {
        try {
            const auto chain = parse_certificate_chain(read_file(path, kPemBytesMax));
            if (!chain) continue; // loading the configuration has said it
            for (const auto& sentence : chain_warnings(*chain, now)) {
                sentences.push_back(cat(path, ": ", sentence));
            }
        } catch (const std::system_error& e) {
            sentences.emplace_back(e.what());
        }
    }
    return sentences;
}

void provide_certificate(conf::Config& config,
                         const Directories& directories,
                         const Users& users,
                         UtcTime now) {
    if (!config.tls.certificate.empty()) return;
    const int keys = directories.get("keys");
    if (!is_usable(keys, config.hostname)) make(keys, config.hostname, users, now);
    config.tls.certificate = {cat(directories.path(), "/keys/", kCertificate)};
    config.tls.key = {cat(directories.path(), "/keys/", kKey)};
}

} // namespace tambo::master

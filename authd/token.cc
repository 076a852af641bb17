#include "authd/token.h"

#include "common/base/text.h"
#include "common/crypto/digest.h"
#include "common/ipc/codec.h"

#include <cstdlib>

namespace tambo::authd {

namespace {
constexpr size_t kMacBytes = 32;
constexpr std::string_view kDigestPurpose = "credentials\n"; // no token begins so
constexpr int64_t kLifetimeMs = 2 * 3'600'000;
} // namespace

std::string Tokens::issue(Login login) const {
    login.issued = clock_.now();
    const std::string content = ipc::encode(login);
    return hmac(DigestKind::sha256, secret_, content) + content;
}

std::optional<Login> Tokens::open(std::string_view token) const {
    if (token.size() < kMacBytes) return std::nullopt;
    const auto mac = token.substr(0, kMacBytes);
    const auto content = token.substr(kMacBytes);
    if (!equal_constant_time(mac, hmac(DigestKind::sha256, secret_, content))) return std::nullopt;
    auto login = ipc::decode<Login>(content);
    if (!login || std::abs(clock_.now().ms - login->issued.ms) > kLifetimeMs) return std::nullopt;
    return login;
}

std::string Tokens::digest_of(std::string_view text) const {
    return hmac(DigestKind::sha256, secret_, cat(kDigestPurpose, text));
}

} // namespace tambo::authd

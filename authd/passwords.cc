#include "authd/passwords.h"

#include "common/base/base64.h"
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/crypto/digest.h"
#include "common/sys/clock.h"

#include <argon2.h>

#include <algorithm>

namespace tambo::authd {

namespace {
constexpr uint32_t kTimeCost = 2;
constexpr uint32_t kMemoryKib = 19456;
constexpr uint32_t kLanes = 1;
constexpr size_t kSaltBytes = 16, kHashBytes = 32;
constexpr int64_t kTtlMs = 300'000;
constexpr size_t kEntriesMax = 20'000;
} // namespace

std::string hash_password(std::string_view password) {
    const std::string salt = random_bytes(kSaltBytes);
    std::string encoded(
        argon2_encodedlen(kTimeCost, kMemoryKib, kLanes, kSaltBytes, kHashBytes, Argon2_id), '\0');
    const int status =
        argon2id_hash_encoded(kTimeCost, kMemoryKib, kLanes, password.data(), password.size(),
                              salt.data(), salt.size(), kHashBytes, encoded.data(), encoded.size());
    check(status == ARGON2_OK, argon2_error_message(status));
    encoded.resize(encoded.find('\0'));
    return encoded;
}

bool verify_password(std::string_view verifier, std::string_view password) {
    const std::string encoded(verifier);
    return argon2id_verify(encoded.c_str(), password.data(), password.size()) == ARGON2_OK;
}

// Nothing is hashed for it: checking against a random hash costs what checking against a real one
// does, and no password has it.
const std::string& dummy_verifier() {
    const auto unpadded = [](std::string text) {
        text.resize(std::min(text.find('='), text.size()));
        return text;
    };
    static const std::string verifier =
        cat("$argon2id$v=", int{ARGON2_VERSION_NUMBER}, "$m=", kMemoryKib, ",t=", kTimeCost,
            ",p=", kLanes, "$", unpadded(base64_encode(random_bytes(kSaltBytes))), "$",
            unpadded(base64_encode(random_bytes(kHashBytes))));
    return verifier;
}

SuccessCache::SuccessCache(Clock& clock) : clock_(clock), secret_(random_bytes(32)) {}

std::string SuccessCache::key_of(std::string_view account,
                                 std::string_view password,
                                 std::string_view service) const {
    std::string text(account);
    text.push_back('\0');
    text.append(service);
    text.push_back('\0');
    text.append(password);
    std::string key = hmac(DigestKind::sha256, secret_, text);
    wipe(text);
    return key;
}

bool SuccessCache::contains(std::string_view account,
                            std::string_view password,
                            std::string_view service) {
    const auto found = until_.find(key_of(account, password, service));
    return found != until_.end() && found->second > clock_.monotonic_ms();
}

void SuccessCache::add(std::string_view account,
                       std::string_view password,
                       std::string_view service) {
    const int64_t now = clock_.monotonic_ms();
    if (until_.size() >= kEntriesMax) {
        std::erase_if(until_, [now](const auto& entry) { return entry.second <= now; });
        if (until_.size() >= kEntriesMax) until_.clear();
    }
    until_[key_of(account, password, service)] = now + kTtlMs;
}

} // namespace tambo::authd

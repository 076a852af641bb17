// Password verifiers: argon2id (RFC 9106) in the usual $-form, and a short memory of what was right.
#pragma once

#include "common/base/time.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tambo::authd {

inline constexpr std::string_view kArgon2id = "argon2id";

// "$argon2id$v=19$m=19456,t=2,p=1$salt$hash" (RULES.md C2). Takes tens of
// milliseconds: on a worker thread.
std::string hash_password(std::string_view password);
// Whether the password fits the verifier; false for a malformed one. As slow as hashing.
bool verify_password(std::string_view verifier, std::string_view password);
// A verifier that nothing fits, with the same cost: what unknown users are checked against.
const std::string& dummy_verifier();

// Remembers for ttl_ms which passwords were right, as HMAC under a key of this process over
// {account, password, service}: never the password, never shared between services.
class SuccessCache {
  public:
    explicit SuccessCache(Clock& clock);
    bool contains(std::string_view account, std::string_view password, std::string_view service);
    void add(std::string_view account, std::string_view password, std::string_view service);
    // After any change of a credential or account.
    void clear() { until_.clear(); }

  private:
    std::string key_of(std::string_view account,
                       std::string_view password,
                       std::string_view service) const;
    Clock& clock_;
    std::string secret_;
    std::unordered_map<std::string, int64_t> until_; // monotonic ms
};

} // namespace tambo::authd

// The keys of this process, behind the policy: what keyd serves, and what tests use instead of
// keyd.
#pragma once

#include "common/crypto/key_signer.h"
#include "common/crypto/keys.h"

#include <cstdint>
#include <map>

namespace tambo {

class KeyRing final : public KeySigner {
  public:
    // Replaces a key of the same id.
    void add(uint32_t id, PrivateKey key);
    void remove(uint32_t id);
    const PrivateKey* find(uint32_t id) const;
    size_t size() const { return keys_.size(); }

    // Signs what the policy allows (tls_sign_policy.h); the error says why not.
    Result<std::string> sign(const SignRequest& request) override;

  private:
    std::map<uint32_t, PrivateKey> keys_;
};

} // namespace tambo

#include "common/crypto/key_ring.h"

#include "common/base/text.h"
#include "common/crypto/tls_sign_policy.h"

namespace tambo {

void KeyRing::add(uint32_t id, PrivateKey key) {
    keys_.insert_or_assign(id, std::move(key));
}

void KeyRing::remove(uint32_t id) { keys_.erase(id); }

const PrivateKey* KeyRing::find(uint32_t id) const {
    const auto found = keys_.find(id);
    return found != keys_.end() ? &found->second : nullptr;
}

Result<std::string> KeyRing::sign(const SignRequest& request) {
    const PrivateKey* key = find(request.key_id);
    if (key == nullptr) return Err{cat("no key ", request.key_id)};
    if (const auto why = refuse_tls_signature(request, key->type())) return Err{std::string(*why)};
    return key->sign(request.scheme, request.tbs);
}

} // namespace tambo

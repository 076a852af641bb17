// What a login is worth towards queued: an opaque token that smtpd carries and cannot make. It is
// self-contained (HMAC under a key in the accounts database), so that a restart of authd breaks no
// session.
#pragma once

#include "common/base/id.h"
#include "common/base/time.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::authd {

struct Login {
    bool is_account = true; // else a local user
    Id account;
    uint32_t uid = 0;
    std::string address;   // of the account, or user@hostname
    std::string client_ip; // where the login came from; empty: this machine
    std::string credentials; // of the account, as they were: a digest
    UtcTime issued;
    template <class V> void visit(V& v) {
        v(is_account, account, uid, address, client_ip, credentials, issued);
    }
};

class Tokens {
  public:
    Tokens(std::string secret, Clock& clock) : secret_(std::move(secret)), clock_(clock) {}
    std::string issue(Login login) const;
    // nullopt: not ours, or older than two hours. Says nothing about the account of now.
    std::optional<Login> open(std::string_view token) const;
    // Keyed, so that who reads a token learns nothing about the text.
    std::string digest_of(std::string_view text) const;

  private:
    std::string secret_;
    Clock& clock_;
};

} // namespace tambo::authd

// Failed logins: by the network they came from and by the account they were meant for. Pure over a
// clock. An account is never locked: who tries it from many networks slows down strangers, not the
// networks from which its user has logged in.
#pragma once

#include "common/base/time.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace tambo::authd {

class Failures {
  public:
    struct Limits {
        int64_t per_network = 20; // within the window; then nothing of it is heard
        int64_t window_ms = 600'000;
        int64_t delay_max_ms = 15'000;
    };

    // Whether a password of this account may be tried from this network. account: the name that the
    // client gave, as a key; empty for one that is no address.
    bool may_try(std::string_view network, std::string_view account, int64_t now, const Limits&);
    // Counts a failure. How long to wait before it is answered: 1, 2, 4, ... s.
    int64_t failed(std::string_view network, std::string_view account, int64_t now, const Limits&);
    // Forgets what this network and account have added together, and nothing else: who has an
    // account here must not be able to guess the passwords of others for ever. From now on the
    // account is heard from this network whatever others do.
    void succeeded(std::string_view network, std::string_view account, int64_t now);

    void tidy(int64_t now, const Limits& limits);
    size_t size() const { return networks_.size() + accounts_.size(); }

  private:
    struct Failure {
        int64_t ms;
        std::string other; // account, or network
    };
    using Times = std::deque<Failure>;
    struct Account {
        Times failures;
        std::map<std::string, int64_t, std::less<>> known; // networks, by their last success
    };

    static void expire(Times& times, int64_t before);
    static int64_t count_of(const Times& times, std::string_view other);
    static bool knows(const Account& account, std::string_view network, int64_t now);
    Times* failures_of(std::string_view network, int64_t before);
    Account* find(std::string_view account, int64_t before);

    std::map<std::string, Times, std::less<>> networks_;
    std::map<std::string, Account, std::less<>> accounts_;
};

} // namespace tambo::authd

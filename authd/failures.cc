#include "authd/failures.h"

#include <algorithm>

namespace tambo::authd {

namespace {

constexpr int64_t kSecondMs = 1000;
constexpr int64_t kKnownForMs = 30 * int64_t{86'400'000};
constexpr size_t kTimesMax = 10'000;     // of one network or account
constexpr size_t kKnownMax = 32;         // networks of one account
constexpr size_t kAccountsMax = 100'000; // names come from clients
// An account is under attack when it has as many failures as this many networks may have; then a
// network that it does not know has so many tries within the window.
constexpr int64_t kAttackFactor = 5;
constexpr int64_t kStrangerTries = 3;

int64_t doubled(int64_t failures, int64_t max_ms) {
    const auto doublings = std::clamp<int64_t>(failures - 1, 0, 20);
    return std::min(max_ms, kSecondMs << doublings);
}

} // namespace

void Failures::expire(Times& times, int64_t before) {
    while (!times.empty() && (times.front().ms < before || times.size() > kTimesMax)) {
        times.pop_front();
    }
}

int64_t Failures::count_of(const Times& times, std::string_view other) {
    return std::ranges::count(times, other, &Failure::other);
}

bool Failures::knows(const Account& account, std::string_view network, int64_t now) {
    const auto found = account.known.find(network);
    return found != account.known.end() && found->second >= now - kKnownForMs;
}

Failures::Times* Failures::failures_of(std::string_view network, int64_t before) {
    const auto found = networks_.find(network);
    if (found == networks_.end()) return nullptr;
    expire(found->second, before);
    return &found->second;
}

Failures::Account* Failures::find(std::string_view account, int64_t before) {
    const auto found = accounts_.find(account);
    if (found == accounts_.end()) return nullptr;
    expire(found->second.failures, before);
    return &found->second;
}

bool Failures::may_try(std::string_view network,
                       std::string_view account,
                       int64_t now,
                       const Limits& limits) {
    const Times* times = failures_of(network, now - limits.window_ms);
    const Account* target = find(account, now - limits.window_ms);
    const int64_t of_network = times ? static_cast<int64_t>(times->size()) : 0;
    const int64_t of_both = times ? count_of(*times, account) : 0;
    if (target && knows(*target, network, now)) return of_both < limits.per_network;
    if (of_network >= limits.per_network) return false;
    const int64_t of_account = target ? static_cast<int64_t>(target->failures.size()) : 0;
    const bool attacked = of_account >= kAttackFactor * limits.per_network;
    return !attacked || of_both < kStrangerTries;
}

int64_t Failures::failed(std::string_view network,
                         std::string_view account,
                         int64_t now,
                         const Limits& limits) {
    auto at = networks_.find(network);
    if (at == networks_.end()) at = networks_.emplace(network, Times{}).first;
    Times& times = at->second;
    times.push_back({now, std::string(account)});
    expire(times, now - limits.window_ms);
    const bool named = !account.empty();
    if (named && !accounts_.contains(account) && accounts_.size() < kAccountsMax) {
        accounts_.emplace(account, Account{});
    }
    Account* target = named ? find(account, now - limits.window_ms) : nullptr;
    int64_t slow_down = static_cast<int64_t>(times.size());
    if (target) {
        target->failures.push_back({now, std::string(network)});
        const auto of_account = static_cast<int64_t>(target->failures.size());
        const bool known = knows(*target, network, now);
        slow_down = known ? count_of(times, account) : std::max(slow_down, of_account);
    }
    return doubled(slow_down, limits.delay_max_ms);
}

void Failures::succeeded(std::string_view network, std::string_view account, int64_t now) {
    if (const auto at = networks_.find(network); at != networks_.end()) {
        std::erase_if(at->second, [&](const Failure& f) { return f.other == account; });
    }
    auto found = accounts_.find(account);
    if (found == accounts_.end()) {
        // There is room for it: accounts that exist are few.
        found = accounts_.emplace(account, Account{}).first;
    }
    Account& target = found->second;
    std::erase_if(target.failures, [&](const Failure& f) { return f.other == network; });
    target.known.insert_or_assign(std::string(network), now);
    if (target.known.size() <= kKnownMax) return;
    target.known.erase(std::ranges::min_element(target.known, {}, [](const auto& entry) {
        return entry.second;
    }));
}

void Failures::tidy(int64_t now, const Limits& limits) {
    for (auto& [network, times] : networks_) expire(times, now - limits.window_ms);
    std::erase_if(networks_, [](const auto& entry) { return entry.second.empty(); });
    for (auto& [name, account] : accounts_) {
        expire(account.failures, now - limits.window_ms);
        std::erase_if(account.known,
                      [&](const auto& entry) { return entry.second < now - kKnownForMs; });
    }
    std::erase_if(accounts_, [](const auto& entry) {
        return entry.second.failures.empty() && entry.second.known.empty();
    });
}

} // namespace tambo::authd

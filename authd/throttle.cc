#include "authd/throttle.h"

#include "common/base/text.h"

#include <arpa/inet.h>

#include <algorithm>

namespace tambo::authd {

namespace {
constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kDayMs = 86'400'000;
constexpr size_t kTimesMax = 10'000;
} // namespace

std::string network_of(std::string_view ip) {
    const std::string text(ip);
    in6_addr v6{};
    if (::inet_pton(AF_INET6, text.c_str(), &v6) != 1) return text;
    std::fill(v6.s6_addr + 8, v6.s6_addr + 16, uint8_t{0});
    char out[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET6, &v6, out, sizeof out);
    return cat(std::string_view(out), "/64");
}

bool is_loopback(std::string_view ip) {
    return ip.empty() || ip == "local" || ip == "::1" || ip.starts_with("127.");
}

bool Throttle::is_exempt(std::string_view client_ip) const {
    return is_loopback(client_ip) && !config_.limits_on_loopback;
}

void Throttle::expire(std::deque<int64_t>& times, int64_t before) {
    while (!times.empty() && (times.front() < before || times.size() > kTimesMax)) {
        times.pop_front();
    }
}

ipc::ConnectionVerdict Throttle::open(ipc::Service, std::string_view client_ip) {
    if (is_exempt(client_ip)) return {};
    Client& client = clients_[network_of(client_ip)];
    const int64_t now = clock_.monotonic_ms();
    expire(client.recent_ms, now - kMinuteMs);
    if (client.connections >= config_.connections_per_address) {
        return {false, "too many connections from your address"};
    }
    if (static_cast<int64_t>(client.recent_ms.size()) >= config_.connection_rate_per_minute) {
        return {false, "too many new connections from your address"};
    }
    client.connections++;
    client.recent_ms.push_back(now);
    return {};
}

void Throttle::close(ipc::Service, std::string_view client_ip) {
    const auto found = clients_.find(network_of(client_ip));
    if (found != clients_.end() && found->second.connections > 0) found->second.connections--;
}

Failures::Limits Throttle::failure_limits() const {
    return {config_.login_failures_per_address, config_.login_failure_window_ms,
            config_.login_delay_max_ms};
}

bool Throttle::may_authenticate(std::string_view client_ip, std::string_view account) {
    if (is_exempt(client_ip)) return true;
    return failures_.may_try(network_of(client_ip), account, clock_.monotonic_ms(),
                             failure_limits());
}

int64_t Throttle::failed(std::string_view client_ip, std::string_view account) {
    if (is_exempt(client_ip)) return 0;
    return failures_.failed(network_of(client_ip), account, clock_.monotonic_ms(),
                            failure_limits());
}

void Throttle::succeeded(std::string_view client_ip, std::string_view account) {
    if (is_exempt(client_ip)) return;
    failures_.succeeded(network_of(client_ip), account, clock_.monotonic_ms());
}

bool Throttle::open_session(const Id& account, std::string_view client_ip) {
    auto key = std::pair(account, network_of(client_ip));
    const auto found = sessions_.find(key);
    const int64_t open = found == sessions_.end() ? 0 : found->second;
    if (open >= config_.sessions_per_login_per_address && !is_exempt(client_ip)) return false;
    sessions_[std::move(key)] = open + 1;
    return true;
}

void Throttle::close_session(const Id& account, std::string_view client_ip) {
    const auto found = sessions_.find({account, network_of(client_ip)});
    if (found != sessions_.end() && --found->second == 0) sessions_.erase(found);
}

ipc::ReplyText Throttle::count_message(const Login& login, uint32_t recipients) {
    if (is_exempt(login.client_ip)) return {};
    const int64_t today = clock_.now().ms / kDayMs;
    auto found = logins_.find(login.address);
    if (found == logins_.end()) found = logins_.emplace(login.address, Day{}).first;
    Day& day = found->second;
    if (day.day != today) day = Day{today, 0, 0};
    const int64_t messages_max = config_.messages_per_login_per_day;
    const int64_t recipients_max = config_.recipients_per_login_per_day;
    if (messages_max > 0 && day.messages + 1 > messages_max) {
        return {450, "4.7.1", "your login has sent its number of messages for today"};
    }
    if (recipients_max > 0 && day.recipients + recipients > recipients_max) {
        return {450, "4.7.1", "your login has written to its number of recipients for today"};
    }
    day.messages++;
    day.recipients += recipients;
    return {};
}

void Throttle::tidy() {
    const int64_t now = clock_.monotonic_ms();
    for (auto& [network, client] : clients_) {
        expire(client.recent_ms, now - kMinuteMs);
    }
    std::erase_if(clients_, [](const auto& entry) {
        return entry.second.connections == 0 && entry.second.recent_ms.empty();
    });
    failures_.tidy(now, failure_limits());
    const int64_t today = clock_.now().ms / kDayMs;
    std::erase_if(logins_, [today](const auto& entry) { return entry.second.day != today; });
}

} // namespace tambo::authd

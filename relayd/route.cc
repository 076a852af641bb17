// See route.h.
#include "relayd/route.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/smtp/domain.h"

#include <algorithm>

namespace tambo::relayd {

namespace {

using ipc::DnsStatus;
using ipc::DnsType;

Verdict loops_back(std::string_view domain) {
    return Verdict::ours(554, "5.4.6", cat("mail for ", domain, " loops back to this server"));
}

// Whose fault it is cannot be told from here: dnsd's event dns.failed names whom it has asked.
Verdict try_later(std::string_view domain) {
    return Verdict::ours(451, "4.4.3",
                         cat("no answer about ", domain, " from this server's DNS resolver"));
}

} // namespace

std::string Hop::text() const {
    if (host.starts_with('[')) return cat(host, ':', address.port());
    return cat(host, '[', address.ip(), "]:", address.port());
}

Router::Router(World world, uint16_t port)
    : world_(world), port_(port),
      deadline_ms_(world.clock.monotonic_ms() + limits::dns_delivery_timeout_ms),
      addresses_left_(limits::dns_addresses_max) {}

task<Route> Router::to_destination(std::string destination) {
    if (destination.starts_with('[')) co_return to_literal(destination);
    const auto answer = co_await lookup(destination, DnsType::mx);
    Exchangers exchangers;
    Route route;
    route.failure = exchangers_of(destination, answer, exchangers);
    if (route.failure) co_return route;
    const bool cut = cut_own_name(exchangers);
    if (cut && exchangers.empty()) {
        route.failure = loops_back(destination);
        co_return route;
    }
    route = co_await to_exchangers(std::move(destination), std::move(exchangers));
    co_return route;
}

task<Route> Router::to_host(std::string host) {
    Route route;
    if (const auto ip = net::SocketAddress::parse(host, port_)) {
        route.hops.push_back({host, *ip});
    } else {
        auto found = co_await addresses_of(host);
        route.hops = std::move(found.hops);
        if (found.own) {
            route.hops.clear();
            route.failure = Verdict::ours(451, "4.3.5", "the smarthost is this server itself");
        }
    }
    if (route.hops.empty() && !route.failure) {
        route.failure = Verdict::ours(451, "4.4.3", cat("no address of the smarthost ", host));
    }
    co_return route;
}

// RFC 5321 4.1.3.
Route Router::to_literal(const std::string& literal) const {
    Route route;
    const auto key = smtp::address_literal_key(literal);
    if (!key) {
        route.failure = Verdict::ours(550, "5.1.2", "malformed address literal");
        return route;
    }
    const auto address = net::SocketAddress::parse(smtp::literal_address(*key), port_);
    if (!address || world_.ourselves.is_own(*address)) {
        route.failure = loops_back(literal);
        return route;
    }
    route.hops.push_back({*key, *address});
    return route;
}

// The verdict if there is nowhere to go.
std::optional<Verdict> Router::exchangers_of(const std::string& domain,
                                             const ipc::DnsAnswer& answer,
                                             Exchangers& into) const {
    switch (answer.status) {
    case DnsStatus::temporary:
        return try_later(domain);
    case DnsStatus::no_name:
        return Verdict::ours(550, "5.1.2", cat("the domain ", domain, " does not exist"));
    case DnsStatus::no_data: // RFC 5321 5.1: the implicit MX
        into.push_back({0, domain});
        return std::nullopt;
    case DnsStatus::found:
        break;
    }
    // RFC 7505 3: the null MX stands alone; beside others it is a mistake and means nothing.
    if (answer.records.size() == 1 && answer.records[0].text == ".") {
        return Verdict::ours(556, "5.1.10", cat("the domain ", domain, " accepts no mail"));
    }
    for (const auto& record : answer.records) {
        if (record.text != ".") into.push_back({record.preference, record.text});
    }
    if (into.size() > limits::dns_mx_max) into.resize(limits::dns_mx_max);
    std::ranges::stable_sort(into, {}, &Exchanger::preference);
    if (!into.empty()) return std::nullopt;
    return Verdict::ours(451, "4.4.4", cat("the MX of ", domain, " are no host names"));
}

// RFC 5321 5.1: no exchanger that is no better than ourselves. True if we are among them.
bool Router::cut_own_name(Exchangers& exchangers) const {
    const auto own = std::ranges::find_if(
        exchangers, [&](const Exchanger& one) { return world_.ourselves.is_own_name(one.host); });
    if (own == exchangers.end()) return false;
    const uint16_t preference = own->preference;
    std::erase_if(exchangers, [&](const Exchanger& one) { return one.preference >= preference; });
    return true;
}

// exchangers: not empty, in order of preference. Each group of equal preference is looked up whole,
// because one of its members may turn out to be ourselves; later groups only if more is needed.
task<Route> Router::to_exchangers(std::string domain, Exchangers exchangers) {
    Route route;
    bool own = false, temporary = false;
    for (size_t at = 0; at < exchangers.size() && !own;) {
        std::vector<std::string> hosts;
        const uint16_t preference = exchangers[at].preference;
        for (; at < exchangers.size() && exchangers[at].preference == preference; ++at) {
            hosts.push_back(exchangers[at].host);
        }
        auto group = co_await addresses_of_group(std::move(hosts));
        own = group.own;
        temporary = temporary || group.temporary;
        if (own) break;
        route.hops.insert(route.hops.end(), group.hops.begin(), group.hops.end());
        if (route.hops.size() >= limits::relay_addresses_per_try || addresses_left_ == 0) break;
    }
    if (!route.hops.empty()) co_return route;
    if (own) {
        route.failure = loops_back(domain);
    } else if (temporary) {
        route.failure = try_later(domain);
    } else {
        route.failure = Verdict::ours(
            550, "5.4.4", cat("no mail server of the domain ", domain, " has an address"));
    }
    co_return route;
}

// In random order of the hosts, RFC 5321 5.1.
task<Router::Addresses> Router::addresses_of_group(std::vector<std::string> hosts) {
    shuffle(hosts);
    Addresses all;
    for (size_t i = 0; i < hosts.size(); ++i) {
        auto one = co_await addresses_of(hosts[i]);
        all.own = all.own || one.own;
        all.temporary = all.temporary || one.temporary;
        all.hops.insert(all.hops.end(), one.hops.begin(), one.hops.end());
    }
    co_return all;
}

task<Router::Addresses> Router::addresses_of(std::string host) {
    const auto a = co_await lookup(host, DnsType::a);
    const auto aaaa = co_await lookup(host, DnsType::aaaa);
    Addresses found;
    std::vector<Hop> v4, v6;
    for (const auto* answer : {&a, &aaaa}) {
        found.temporary = found.temporary || answer->status == DnsStatus::temporary;
        for (const auto& record : answer->records) {
            const auto address = net::SocketAddress::parse(record.text, port_);
            if (!address || addresses_left_ == 0) continue;
            --addresses_left_;
            if (world_.ourselves.is_own(*address)) found.own = true;
            (address->is_v6() ? v6 : v4).push_back({host, *address});
        }
    }
    found.hops = alternate(std::move(v4), std::move(v6));
    co_return found;
}

task<ipc::DnsAnswer> Router::lookup(std::string name, DnsType type) {
    const int64_t left_ms = deadline_ms_ - world_.clock.monotonic_ms();
    if (left_ms <= 0) co_return ipc::DnsAnswer(); // temporary
    auto answer = co_await world_.names.lookup(std::move(name), type, left_ms);
    co_return answer;
}

// Both families by turns, beginning with either, each in random order: where one of them does not
// work, the few addresses that are tried hold the other.
std::vector<Hop> Router::alternate(std::vector<Hop> v4, std::vector<Hop> v6) {
    shuffle(v4);
    shuffle(v6);
    if (world_.random.below(2) == 1) v4.swap(v6);
    std::vector<Hop> all;
    for (size_t i = 0; i < std::max(v4.size(), v6.size()); ++i) {
        if (i < v4.size()) all.push_back(std::move(v4[i]));
        if (i < v6.size()) all.push_back(std::move(v6[i]));
    }
    return all;
}

template <class T>
void Router::shuffle(std::vector<T>& items) {
    for (size_t left = items.size(); left > 1; --left) {
        std::swap(items[left - 1], items[world_.random.below(left)]);
    }
}

} // namespace tambo::relayd

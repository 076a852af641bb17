// See resolver.h.
#include "dnsd/resolver.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/sys/log.h"
#include "dnsd/answer.h"
#include "dnsd/name.h"

#include <algorithm>

namespace tambo::dnsd {

namespace {

constexpr size_t kCacheEntries = 20'000;
constexpr size_t kCacheBytes = 8u << 20;
constexpr size_t kExchangesMax = 100; // with a channel of c-ares (75 KiB) each
constexpr size_t kExchangesIdle = 4;
constexpr size_t kQuestionsMax = 2000; // distinct ones, on their way or waiting for an exchange

ipc::DnsAnswer answer_of(ipc::DnsStatus status) {
    ipc::DnsAnswer answer;
    answer.status = status;
    return answer;
}

} // namespace

// The servers of one configuration, and what has been learnt about them.
struct Resolver::Servers {
    std::vector<Server> list;
    std::vector<bool> no_edns; // answered FORMERR to an OPT record
    size_t preferred = 0;      // the one that answered last
};

struct Resolver::InFlight {
    InFlight(Nursery& nursery, std::string asked_name, ipc::DnsType asked_type)
        : name(std::move(asked_name)), type(asked_type), answered(nursery) {}
    std::string name;
    ipc::DnsType type;
    Gate answered;
    ipc::DnsAnswer answer;
};

// Exchanges in use, and a few idle ones.
struct Resolver::Pool {
    explicit Pool(Nursery& nursery) : returned(nursery) {}

    std::vector<std::unique_ptr<Exchange>> idle;
    size_t used = 0;
    Gate returned;

    // Gives the exchange back when its question has ended.
    class Use {
      public:
        Use(Pool& pool, Nursery& nursery) : pool_(pool) {
            if (pool.idle.empty()) {
                exchange_ = std::make_unique<Exchange>(nursery);
            } else {
                exchange_ = std::move(pool.idle.back());
                pool.idle.pop_back();
            }
            pool.used++;
        }
        ~Use() {
            pool_.used--;
            if (pool_.idle.size() < kExchangesIdle) pool_.idle.push_back(std::move(exchange_));
            pool_.returned.pulse();
        }
        Use(const Use&) = delete;
        Exchange& operator*() { return *exchange_; }

      private:
        Pool& pool_;
        std::unique_ptr<Exchange> exchange_;
    };
};

Resolver::Resolver(Nursery& nursery, Clock& clock, Random& random)
    : nursery_(nursery), clock_(clock), random_(random), cache_(kCacheEntries, kCacheBytes),
      servers_(std::make_shared<Servers>()), pool_(std::make_unique<Pool>(nursery)) {}

Resolver::~Resolver() = default;

void Resolver::set_servers(std::vector<Server> servers) {
    const auto same = [](const Server& a, const Server& b) {
        return a.text() == b.text() && a.trusted == b.trusted;
    };
    if (std::ranges::equal(servers_->list, servers, same)) return;
    auto fresh = std::make_shared<Servers>();
    fresh->no_edns.assign(servers.size(), false);
    fresh->list = std::move(servers);
    servers_ = std::move(fresh);
    cache_.clear();
    log::Event event("dns.servers", log::Level::notice);
    for (const auto& server : servers_->list)
        event.with("server", server.text());
}

task<ipc::DnsAnswer> Resolver::lookup(ipc::DnsLookup question) {
    const auto name = question.type == ipc::DnsType::ptr ? reverse_name(question.name)
                                                         : question_name(question.name);
    if (!name) co_return answer_of(ipc::DnsStatus::no_name);
    if (auto known = cache_.find(*name, question.type, clock_.monotonic_ms())) {
        co_return std::move(*known);
    }
    auto answer = co_await share(*name, question.type);
    co_return answer;
}

// Whoever asks first starts the question, in a coroutine of its own: its end does not hang on any
// one of those who wait for it.
task<ipc::DnsAnswer> Resolver::share(std::string name, ipc::DnsType type) {
    const std::string key = cat(static_cast<int>(type), ' ', name);
    std::shared_ptr<InFlight> flight;
    const auto known = in_flight_.find(key);
    if (known != in_flight_.end()) {
        flight = known->second;
    } else {
        if (in_flight_.size() >= kQuestionsMax) co_return answer_of(ipc::DnsStatus::temporary);
        flight = std::make_shared<InFlight>(nursery_, name, type);
        in_flight_[key] = flight;
        nursery_.spawn(resolve(flight));
    }
    if (!flight->answered.is_open()) co_await flight->answered.wait();
    co_return flight->answer;
}

task<> Resolver::resolve(std::shared_ptr<InFlight> flight) {
    struct Landing { // also when cancelled
        Resolver& resolver;
        InFlight& flight;
        ~Landing() {
            resolver.in_flight_.erase(cat(static_cast<int>(flight.type), ' ', flight.name));
            flight.answered.open();
        }
    } landing{*this, *flight};
    flight->answer = co_await ask_servers(flight->name, flight->type);
    cache_.put(flight->name, flight->type, flight->answer, clock_.monotonic_ms());
}

task<ipc::DnsAnswer> Resolver::ask_servers(std::string name, ipc::DnsType type) {
    const auto servers = servers_;
    const size_t count = servers->list.size();
    const size_t first = servers->preferred;
    const int64_t deadline_ms = clock_.monotonic_ms() + limits::dns_query_timeout_ms;
    for (size_t i = 0; i < count; ++i) {
        const size_t index = (first + i) % count;
        const int64_t left_ms = deadline_ms - clock_.monotonic_ms();
        const int64_t window_ms = left_ms / static_cast<int64_t>(count - i);
        if (window_ms <= 0) break;
        auto message = co_await ask_one(servers, index, name, type, window_ms);
        if (!message || (message->rcode != 0 && message->rcode != kRcodeNoName) ||
            message->truncated) {
            continue;
        }
        if (servers->preferred == first && index != first) {
            servers->preferred = index;
            log::Event("dns.server_changed", log::Level::warning)
                .with("from", servers->list[first].text())
                .with("to", servers->list[index].text());
        }
        auto answer = std::move(message->answer);
        answer.secure = message->authentic && servers->list[index].trusted;
        co_return answer;
    }
    log::Event failed("dns.failed", log::Level::notice);
    failed.with("name", name).with("type", type_code(type));
    for (const auto& server : servers->list)
        failed.with("server", server.text());
    co_return answer_of(ipc::DnsStatus::temporary);
}

// nullopt: no usable message came from this server.
task<std::optional<Message>> Resolver::ask_one(std::shared_ptr<Servers> servers,
                                               size_t index,
                                               std::string name,
                                               ipc::DnsType type,
                                               int64_t window_ms) {
    const Server& server = servers->list[index];
    const int64_t deadline_ms = clock_.monotonic_ms() + window_ms;
    std::optional<Message> message;
    for (;;) {
        const int64_t left_ms = deadline_ms - clock_.monotonic_ms();
        if (left_ms <= 0) break;
        Query query;
        query.name = name;
        query.type = type_code(type);
        query.id = static_cast<uint16_t>(random_.u64());
        query.edns = !servers->no_edns[index];
        query.dnssec_records = server.wants_do;
        auto packet = co_await exchange(server, encode_query(query), left_ms);
        message.reset();
        if (!packet.empty()) message = parse_message(packet, name, type);
        const bool edns_refused =
            message && query.edns &&
            (message->rcode == kRcodeFormatError || message->rcode == kRcodeNotImplemented);
        if (!edns_refused) break;
        servers->no_edns[index] = true; // RFC 6891 7
    }
    co_return message;
}

task<std::string> Resolver::exchange(Server server, std::string query, int64_t window_ms) {
    const int64_t deadline_ms = clock_.monotonic_ms() + window_ms;
    while (pool_->used >= kExchangesMax) {
        const int64_t wait_ms = deadline_ms - clock_.monotonic_ms();
        if (wait_ms <= 0) co_return std::string();
        co_await pool_->returned.wait(wait_ms);
    }
    const int64_t left_ms = std::max<int64_t>(1, deadline_ms - clock_.monotonic_ms());
    Pool::Use use(*pool_, nursery_);
    Exchange& one = *use;
    auto packet = co_await one.ask(std::move(server), std::move(query), left_ms);
    co_return packet;
}

} // namespace tambo::dnsd

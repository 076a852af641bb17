// Answers questions: from the cache, from a question already on its way, or from the resolvers in
// turn, each within its share of limits::dns_query_timeout_ms. Names are asked for as they are:
// there are no search domains.
#pragma once

#include "common/base/time.h"
#include "common/event/gate.h"
#include "common/ipc/messages/dnsd.h"
#include "common/sys/clock.h"
#include "dnsd/cache.h"
#include "dnsd/exchange.h"
#include "dnsd/servers.h"

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace tambo::dnsd {

struct Message;

class Resolver {
  public:
    // All outlive the resolver; the nursery is empty before it goes.
    Resolver(Nursery& nursery, Clock& clock, Random& random);
    ~Resolver();

    // At start and whenever they change; questions on their way end with the old ones. What is in
    // the cache stays unless the servers differ.
    void set_servers(std::vector<Server> servers);

    // Never throws but Cancelled: a server that fails, stalls or talks nonsense makes the status
    // temporary, a name that nobody can have makes it no_name.
    task<ipc::DnsAnswer> lookup(ipc::DnsLookup question);

  private:
    struct Pool;
    struct InFlight;
    struct Servers;
    task<ipc::DnsAnswer> share(std::string name, ipc::DnsType type);
    task<> resolve(std::shared_ptr<InFlight> flight);
    task<ipc::DnsAnswer> ask_servers(std::string name, ipc::DnsType type);
    task<std::optional<Message>> ask_one(std::shared_ptr<Servers> servers,
                                         size_t index,
                                         std::string name,
                                         ipc::DnsType type,
                                         int64_t window_ms);
    task<std::string> exchange(Server server, std::string query, int64_t window_ms);

    Nursery& nursery_;
    Clock& clock_;
    Random& random_;
    Cache cache_;
    std::shared_ptr<Servers> servers_;
    std::unique_ptr<Pool> pool_;
    std::unordered_map<std::string, std::shared_ptr<InFlight>> in_flight_;
};

} // namespace tambo::dnsd

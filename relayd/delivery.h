// One job of queued from beginning to end: where to, one address after the other, one transaction,
// and a result for each recipient. Everything that can go wrong becomes a verdict here.
#pragma once

#include "common/ipc/messages/relayd.h"
#include "relayd/connection.h"
#include "relayd/pool.h"
#include "relayd/route.h"
#include "relayd/transaction.h"
#include "relayd/verdict.h"

#include <memory>
#include <optional>
#include <string>

namespace tambo::relayd {

class Delivery {
  public:
    // What deliveries share; all outlive them.
    struct World {
        Nursery& nursery;
        NameService& names;
        const Ourselves& ourselves;
        Random& random;
        Clock& clock;
        Pool& pool;
        const conf::RelaydConfig& config;
        const TlsContexts& contexts;
        const Timeouts& timeouts;
    };
    Delivery(World world, ipc::Relay job);

    // Throws nothing but Cancelled.
    task<ipc::RelayDone> run();

  private:
    void read_envelope();
    bool read_content();
    std::string place() const;
    uint16_t port() const;
    SessionPolicy policy() const;
    task<Route> find_route();
    task<> try_idle();
    task<> try_route(Route route);
    task<> try_hop(Hop hop, bool starttls);
    task<> open_and_transact(std::unique_ptr<Connection>& connection, Hop hop, bool starttls);
    task<> transact(Connection& connection);
    void failed(const Hop& hop, const Verdict& verdict);
    void log_connected(const Connection& connection, bool idle) const;
    void log_results() const;
    ipc::RelayDone done() const;

    World world_;
    ipc::Relay job_;
    Mail mail_;
    Results results_;
    std::string host_, address_, tls_; // where it ended
    size_t sessions_ = 0;
    bool tls_failed_ = false; // of the hop that is being tried
    std::optional<Verdict> last_failure_;
    bool all_permanent_ = true; // every address gave a permanent failure
};

} // namespace tambo::relayd

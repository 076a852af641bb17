// Where the mail of a destination goes: RFC 5321 5.1 over an injected resolver, random source and
// clock. Pure: nothing is connected to.
//
// A server that is in the list of mail exchangers itself must send only to better ones: everything
// from its own preference on is cut, by name and by address, so that mail never goes in circles.
#pragma once

#include "common/base/time.h"
#include "common/conf/relayd_config.h"
#include "common/net/address.h"
#include "common/sys/clock.h"
#include "relayd/names.h"
#include "relayd/ourselves.h"
#include "relayd/verdict.h"

#include <optional>
#include <string>
#include <vector>

namespace tambo::relayd {

struct Hop {
    std::string host; // for TLS and for people; of an address literal the literal
    net::SocketAddress address;

    std::string text() const; // "mx1.example.org[192.0.2.1]:25"
};

// hops in the order in which they are to be tried, or why there are none.
struct Route {
    std::vector<Hop> hops;
    std::optional<Verdict> failure;
};

class Router {
  public:
    struct World {
        NameService& names;
        const Ourselves& ourselves;
        Random& random;
        Clock& clock;
    };
    // One router for one delivery: its look-ups end limits::dns_delivery_timeout_ms from now.
    Router(World world, uint16_t port);

    // A domain in A-labels, or an address literal "[192.0.2.1]", "[IPv6:2001:db8::1]".
    task<Route> to_destination(std::string destination);
    // A host by its addresses, without MX: a smarthost. Whatever is wrong is temporary, because it
    // is our administrator's fault and not the recipient's.
    task<Route> to_host(std::string host);

  private:
    struct Exchanger {
        uint16_t preference;
        std::string host;
    };
    struct Addresses {
        std::vector<Hop> hops;
        bool own = false;       // one of them is our own listener
        bool temporary = false; // a look-up failed
    };
    using Exchangers = std::vector<Exchanger>;

    Route to_literal(const std::string& literal) const;
    std::optional<Verdict>
    exchangers_of(const std::string& domain, const ipc::DnsAnswer& answer, Exchangers& into) const;
    bool cut_own_name(Exchangers& exchangers) const;
    task<Route> to_exchangers(std::string domain, Exchangers exchangers);
    task<Addresses> addresses_of_group(std::vector<std::string> hosts);
    task<Addresses> addresses_of(std::string host);
    task<ipc::DnsAnswer> lookup(std::string name, ipc::DnsType type);
    std::vector<Hop> alternate(std::vector<Hop> v4, std::vector<Hop> v6);
    template <class T>
    void shuffle(std::vector<T>& items);

    World world_;
    uint16_t port_;
    int64_t deadline_ms_;
    size_t addresses_left_;
};

} // namespace tambo::relayd

// `tambo quickstart DOMAIN ADDRESS`: from an installed package to a running server, and again at
// any time to see what is missing. Idempotent: it makes what is not there and changes nothing that
// is.
#pragma once

#include "cli/context.h"
#include "cli/password.h"

#include <string>
#include <vector>

namespace tambo::cli {

struct QuickstartOptions {
    std::string domain, address, hostname, directory;
    PasswordSource source;
};

// One line that belongs into the DNS zone.
struct DnsRecord {
    std::string name, type, value, purpose;
};

// What to enter for a domain whose mail this host takes. addresses: the host's public ones.
std::vector<DnsRecord> dns_records(const std::string& domain,
                                   const std::string& hostname,
                                   const std::vector<std::string>& addresses);
// Addresses of this machine's interfaces that the world can reach (no loopback, link-local,
// private or documentation ranges).
std::vector<std::string> public_addresses();

int run_quickstart(Context& context, const QuickstartOptions& options);

} // namespace tambo::cli

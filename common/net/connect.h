// Outgoing connections.
#pragma once

#include "common/base/unique_fd.h"
#include "common/event/nursery.h"
#include "common/net/address.h"

namespace tambo::net {

// A connected, non-blocking TCP socket. Throws std::system_error (refused, unreachable, ...),
// TimedOut, Cancelled.
task<UniqueFd> connect_to(Nursery& nursery, SocketAddress address, int64_t timeout_ms);

// The local end of a connection attempt bound to source, if it is an address of this host.
task<UniqueFd> connect_from(Nursery& nursery, SocketAddress source, SocketAddress address,
                            int64_t timeout_ms);

} // namespace tambo::net

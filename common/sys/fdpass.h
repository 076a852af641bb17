// Datagrams with file descriptors over SOCK_SEQPACKET Unix sockets.
#pragma once

#include "common/base/unique_fd.h"

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tambo {

enum class SendStatus { sent, would_block, closed };

// One datagram: head followed by body, with descriptors (kept by the caller). closed also for
// EPIPE and ECONNRESET; other errors throw std::system_error.
SendStatus
send_datagram(int socket, std::string_view head, std::string_view body, std::span<const int> fds);

enum class ReceiveStatus { received, would_block, closed };

struct Datagram {
    std::string bytes;
    std::vector<UniqueFd> fds;
};

// One datagram of at most max_bytes and max_fds descriptors; a longer one, or one with more, is
// dropped whole and reported as closed (the peer broke the contract). Descriptors arrive
// close-on-exec.
ReceiveStatus receive_datagram(int socket, size_t max_bytes, size_t max_fds, Datagram& into);

// The datagrams that are there, in order, at most kBatch.
struct Batch {
    static constexpr size_t kBatch = 8;
    std::vector<Datagram> datagrams;
    bool full = false;   // there may be more of them
    bool closed = false; // and behind the last the peer closed, or broke the contract
};

// The same rules as for receive_datagram, in one call of the kernel, and without waiting.
Batch receive_batch(int socket, size_t max_fds);

// A connected pair of the type (SOCK_SEQPACKET or SOCK_STREAM), close-on-exec, blocking.
std::pair<UniqueFd, UniqueFd> socket_pair(int type);

} // namespace tambo

// The socket under a TLS session, as OpenSSL's BIO. OpenSSL's own would raise SIGPIPE, and lets a
// peer keep one SSL_read() busy for as long as records without data come in; this one gives out a
// limited number of bytes per call of the session. For .cc files of common/crypto only.
#pragma once

#include "common/crypto/openssl.h"

#include <cstddef>

namespace tambo {

struct SocketState {
    int fd = -1; // not owned
    // Bytes that may still be read before the session returns to its loop; then reading looks like
    // an empty socket, although the descriptor stays readable.
    size_t read_budget = 0;
    // Bytes read since the session last delivered data.
    size_t read_without_data = 0;
    int error = 0; // errno of the last failure other than "would block"
    bool end_of_file = false;
};

// state must outlive the BIO.
openssl::Bio make_socket_bio(SocketState& state);

} // namespace tambo

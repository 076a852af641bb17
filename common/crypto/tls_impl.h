// The inside of TlsContext, shared by tls_context.cc and tls_session.cc.
#pragma once

#include "common/crypto/openssl.h"
#include "common/crypto/tls.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tambo {

// Immutable once made; OpenSSL's callbacks refer to it, so sessions keep it alive.
struct TlsContext::Impl {
    bool is_server = false;
    TlsVerify verify = TlsVerify::opportunistic;
    std::vector<std::string> alpn;
    // Server: one per set of names, the default first. Client: exactly one.
    std::vector<openssl::SslContext> contexts;
    std::map<std::string, SSL_CTX*, std::less<>> by_name; // "mail.example.org", "*.example.org"

    // The context whose certificate has the name; nullptr if none has.
    SSL_CTX* find(std::string_view host) const;
};

} // namespace tambo

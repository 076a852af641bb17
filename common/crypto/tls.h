// TLS for the whole suite: contexts (who we are, whom we trust) and non-blocking sessions over a
// socket. TLS 1.2 and 1.3 only, no renegotiation, no compression, no resumption, no early data
// (RULES.md C1). Private keys are elsewhere: a server context has certificates and a
// KeySigner. No OpenSSL in this header.
#pragma once

#include "common/base/result.h"
#include "common/crypto/key_signer.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo {

struct TlsCertificate {
    std::string chain_pem; // the leaf first, then its issuers; other PEM blocks are refused
    uint32_t key_id = 0;   // what the signer calls the leaf's private key
};

struct TlsServerConfig {
    std::string service; // "smtp", "imap", ...: the session id context, at most 32 bytes
    // Our ALPN names, e.g. {"imap"}. A client that offers ALPN and none of these gets the alert
    // no_application_protocol (RFC 7301 3.2, ALPACA); with an empty list that is every offer. A
    // client that offers no ALPN is served.
    std::vector<std::string> alpn;
    // Chosen by the client's SNI among the names in the certificates (exact, then *.parent). The
    // first is the default: no SNI, an unknown or malformed one. Certificates with the same names
    // and different key types (ECDSA and RSA) are offered together.
    std::vector<TlsCertificate> certificates;
    std::shared_ptr<KeySigner> signer;
};

enum class TlsVerify {
    opportunistic, // any certificate will do; what verification would have said is in TlsInfo
    required,      // the handshake fails unless the chain and the name are right
};

struct TlsClientConfig {
    TlsVerify verify = TlsVerify::opportunistic;
    std::string ca_pem; // trusted roots; needed if required, may be empty otherwise
    std::vector<std::string> alpn;
};

// A handle, cheap to copy. Sessions keep what they need of it alive: assigning a new context to the
// variable that new connections use is how certificates are replaced at run time.
class TlsContext {
  public:
    // Errors are texts for the administrator: an unreadable certificate, a key type that is not RSA
    // or EC P-256/P-384, no certificate at all. Does not call the signer.
    static Result<TlsContext> server(const TlsServerConfig& config);
    static Result<TlsContext> client(const TlsClientConfig& config);

    struct Impl;

  private:
    friend class TlsSession;
    explicit TlsContext(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
    std::shared_ptr<const Impl> impl_;
};

enum class TlsStatus {
    done,       // the operation has succeeded
    want_read,  // call again when the descriptor is readable
    want_write, // call again when the descriptor is writable
    closed,     // the peer has closed, see clean_close()
    failed,     // broken for good, see error()
};

struct TlsInfo {
    std::string version; // "TLSv1.3"
    std::string cipher;  // "TLS_AES_128_GCM_SHA256"
    int cipher_bits = 0;
    std::string group;            // "x25519", "secp256r1"; empty if unknown
    std::string alpn;             // the chosen protocol, empty if none
    std::string sni;              // server: what the client sent, if it is a host name in LDH form
    bool peer_verified = false;   // client: chain and name are right
    std::string verify_error;     // why not; empty if verified, and on the server side
    std::string peer_fingerprint; // client: SHA-256 of the peer's certificate in hex
};

// Whom a client session talks to.
struct TlsPeer {
    std::string sni; // sent if it is a host name; empty: none
    // Host names of which one must be in the certificate, or a single IP address literal; looked
    // for in subjectAltName only (RFC 6125 6, RFC 7817 3, RFC 9525 6.3). Anything else verifies
    // nothing.
    std::vector<std::string> names;
};

// One connection. The descriptor is a non-blocking socket that the session does not own and that
// outlives it. Nothing throws; after failed every call returns failed.
class TlsSession {
  public:
    static TlsSession server(const TlsContext& context, int fd);
    static TlsSession client(const TlsContext& context, int fd, const TlsPeer& peer);
    ~TlsSession();
    TlsSession(TlsSession&&) noexcept;
    TlsSession& operator=(TlsSession&&) noexcept;

    // To be called until done (or closed, failed). The signer may block it for up to a second.
    TlsStatus handshake();
    // done: got > 0 bytes are at data. want_read may come although the socket is readable (a record
    // without data); waiting for readability is always right unless pending().
    TlsStatus read(char* data, size_t capacity, size_t& got);
    // done: sent > 0 bytes of data are taken, perhaps not all of it; with empty data 0. After
    // want_read or want_write call again with data that begins with the same bytes and is no
    // shorter; it may lie elsewhere.
    TlsStatus write(std::string_view data, size_t& sent);
    // Sends close_notify; does not wait for the peer's. done also if there is nothing to send.
    TlsStatus shutdown();
    // Decrypted bytes wait: the next read() needs no readable socket.
    bool pending() const;

    // After closed: the peer said close_notify, it did not just drop the connection.
    bool clean_close() const;
    // After failed: one line, printable, at most 200 bytes. Empty before.
    const std::string& error() const;
    // After the handshake; what is known so far before.
    TlsInfo info() const;
    // tls-exporter (RFC 9266): 32 bytes after the handshake; nullopt before, and for TLS 1.2
    // without extended master secret.
    std::optional<std::string> channel_binding() const;

    struct Impl;

  private:
    explicit TlsSession(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace tambo

#include "common/base/text.h"
#include "common/crypto/host_name.h"
#include "common/crypto/socket_bio.h"
#include "common/crypto/tls.h"
#include "common/crypto/tls_impl.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstring>

namespace tambo {

namespace {

// One call of the session reads at most this much, so that a peer that sends as fast as we read
// cannot keep the process from its other sessions.
constexpr size_t kReadBudgetBytes = 64 * 1024;
// Records that bring no data (key updates, alerts, refused renegotiations) may add up to this.
constexpr size_t kReadWithoutDataMax = 128 * 1024;
// The largest ClientHello or certificate chain that OpenSSL takes, twice.
constexpr size_t kHandshakeBytesMax = 256 * 1024;

} // namespace

// socket is referred to by the BIO inside ssl: the order of members is the order of destruction.
struct TlsSession::Impl {
    std::shared_ptr<const TlsContext::Impl> context;
    SocketState socket;
    openssl::Ssl ssl;
    bool established = false;
    bool closed = false, clean = false, failed = false;
    bool has_names = false;
    std::string error;

    Impl(std::shared_ptr<const TlsContext::Impl> from, int fd);
    TlsStatus fail(std::string why);
    TlsStatus close(bool clean_close);
    // Must be called before each operation on ssl, and the second one after it if it did not
    // succeed.
    void prepare();
    TlsStatus classify(int result);
    std::string failure_text() const;
};

TlsSession::Impl::Impl(std::shared_ptr<const TlsContext::Impl> from, int fd)
    : context(std::move(from)) {
    socket.fd = fd;
    ssl.reset(SSL_new(context->contexts.front().get()));
    check(ssl != nullptr, "memory");
    BIO* bio = make_socket_bio(socket).release();
    SSL_set_bio(ssl.get(), bio, bio); // takes it over, once for both directions
}

TlsStatus TlsSession::Impl::fail(std::string why) {
    failed = true;
    error = escape(why, 196);
    return TlsStatus::failed;
}

TlsStatus TlsSession::Impl::close(bool clean_close) {
    closed = true;
    clean = clean_close;
    return TlsStatus::closed;
}

void TlsSession::Impl::prepare() {
    ERR_clear_error(); // SSL_get_error() looks at the queue
    socket.read_budget = kReadBudgetBytes;
    socket.error = 0;
}

std::string TlsSession::Impl::failure_text() const {
    const long verdict = SSL_get_verify_result(ssl.get());
    const bool unverified =
        ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;
    auto text = openssl::take_error("unknown TLS failure");
    if (unverified)
        text = cat(text, ": ", std::string_view(X509_verify_cert_error_string(verdict)));
    return text;
}

TlsStatus TlsSession::Impl::classify(int result) {
    const size_t limit = established ? kReadWithoutDataMax : kHandshakeBytesMax;
    switch (SSL_get_error(ssl.get(), result)) {
    case SSL_ERROR_WANT_READ:
        if (socket.read_without_data > limit) return fail("too many records without data");
        return TlsStatus::want_read;
    case SSL_ERROR_WANT_WRITE:
        return TlsStatus::want_write;
    case SSL_ERROR_ZERO_RETURN:
        return close(true);
    case SSL_ERROR_SYSCALL:
        if (socket.error == 0 || socket.error == EPIPE || socket.error == ECONNRESET) {
            return close(false);
        }
        return fail(std::strerror(socket.error));
    default:
        if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
            ERR_clear_error();
            return close(false);
        }
        return fail(failure_text());
    }
}

namespace {

// False if there is nothing that a certificate could be verified with. OpenSSL wants an address to
// match beside the names, not instead of them: so an address must be alone.
bool set_names(SSL* ssl, const std::vector<std::string>& names) {
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (names.size() == 1 &&
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), names.front().c_str()) == 1) {
        return true;
    }
    return !names.empty() && std::all_of(names.begin(), names.end(), [ssl](const auto& name) {
        return is_host_name(name) && SSL_add1_host(ssl, name.c_str()) == 1;
    });
}

} // namespace

TlsSession::TlsSession(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TlsSession::~TlsSession() = default;
TlsSession::TlsSession(TlsSession&&) noexcept = default;
TlsSession& TlsSession::operator=(TlsSession&&) noexcept = default;

TlsSession TlsSession::server(const TlsContext& context, int fd) {
    check(context.impl_->is_server, "a server session needs a server context");
    auto impl = std::make_unique<Impl>(context.impl_, fd);
    SSL_set_accept_state(impl->ssl.get());
    return TlsSession(std::move(impl));
}

TlsSession TlsSession::client(const TlsContext& context, int fd, const TlsPeer& peer) {
    check(!context.impl_->is_server, "a client session needs a client context");
    auto impl = std::make_unique<Impl>(context.impl_, fd);
    SSL* ssl = impl->ssl.get();
    SSL_set_connect_state(ssl);
    if (is_host_name(peer.sni)) {
        std::string name = peer.sni; // copied by OpenSSL, whose macro for this casts
        SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
    }
    impl->has_names = set_names(ssl, peer.names);
    ERR_clear_error();
    return TlsSession(std::move(impl));
}

TlsStatus TlsSession::handshake() {
    Impl& s = *impl_;
    if (s.failed) return TlsStatus::failed;
    if (s.closed) return TlsStatus::closed;
    if (s.established) return TlsStatus::done;
    if (s.context->verify == TlsVerify::required && !s.has_names) {
        return s.fail("no name to verify the certificate with");
    }
    s.prepare();
    const int result = SSL_do_handshake(s.ssl.get());
    if (result != 1) return s.classify(result);
    s.established = true;
    s.socket.read_without_data = 0;
    return TlsStatus::done;
}

TlsStatus TlsSession::read(char* data, size_t capacity, size_t& got) {
    Impl& s = *impl_;
    got = 0;
    if (s.failed) return TlsStatus::failed;
    if (s.closed) return TlsStatus::closed;
    check(s.established, "handshake before read");
    check(capacity > 0, "room to read into");
    s.prepare();
    const int result = SSL_read_ex(s.ssl.get(), data, capacity, &got);
    if (result != 1) return s.classify(result);
    s.socket.read_without_data = 0;
    return TlsStatus::done;
}

TlsStatus TlsSession::write(std::string_view data, size_t& sent) {
    Impl& s = *impl_;
    sent = 0;
    if (s.failed) return TlsStatus::failed;
    if (s.closed && !s.clean) return TlsStatus::closed;
    check(s.established, "handshake before write");
    if (data.empty()) return TlsStatus::done;
    s.prepare();
    const int result = SSL_write_ex(s.ssl.get(), data.data(), data.size(), &sent);
    return result == 1 ? TlsStatus::done : s.classify(result);
}

TlsStatus TlsSession::shutdown() {
    Impl& s = *impl_;
    if (s.failed || !s.established || (s.closed && !s.clean)) return TlsStatus::done;
    if ((SSL_get_shutdown(s.ssl.get()) & SSL_SENT_SHUTDOWN) != 0) return TlsStatus::done;
    s.prepare();
    const int result = SSL_shutdown(s.ssl.get());
    if (result >= 0) return TlsStatus::done; // 0: sent; the peer's answer is not waited for
    const bool full = SSL_get_error(s.ssl.get(), result) == SSL_ERROR_WANT_WRITE;
    ERR_clear_error();
    return full ? TlsStatus::want_write : TlsStatus::done;
}

bool TlsSession::pending() const {
    return SSL_pending(impl_->ssl.get()) > 0;
}

bool TlsSession::clean_close() const {
    return impl_->clean;
}

const std::string& TlsSession::error() const {
    return impl_->error;
}

namespace {

std::string alpn_of(const SSL* ssl) {
    const unsigned char* name = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(ssl, &name, &length);
    return {reinterpret_cast<const char*>(name), length};
}

// The names of RFC 8446 4.2.7.
std::string group_of(SSL* ssl) {
    const int nid = static_cast<int>(SSL_get_negotiated_group(ssl));
    if (nid == NID_X9_62_prime256v1) return "secp256r1";
    const char* name = nid > 0 ? OBJ_nid2sn(nid) : nullptr;
    return name != nullptr ? to_lower(name) : std::string();
}

std::string fingerprint_of(const SSL* ssl) {
    const X509* peer = SSL_get0_peer_certificate(ssl);
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (peer == nullptr || X509_digest(peer, EVP_sha256(), hash, &length) != 1) return {};
    return to_hex({reinterpret_cast<const char*>(hash), length});
}

} // namespace

TlsInfo TlsSession::info() const {
    const Impl& s = *impl_;
    SSL* ssl = s.ssl.get();
    TlsInfo out;
    if (s.established) {
        out.version = SSL_get_version(ssl);
        const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl);
        if (cipher != nullptr) {
            out.cipher = SSL_CIPHER_get_name(cipher);
            out.cipher_bits = SSL_CIPHER_get_bits(cipher, nullptr);
        }
        out.group = group_of(ssl);
        out.alpn = alpn_of(ssl);
    }
    if (s.context->is_server) {
        const char* sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        if (sni != nullptr && is_host_name(sni)) out.sni = to_lower(sni);
        return out;
    }
    if (!s.established) return out;
    out.peer_fingerprint = fingerprint_of(ssl);
    const long verdict = SSL_get_verify_result(ssl);
    out.peer_verified = verdict == X509_V_OK && s.has_names && !out.peer_fingerprint.empty();
    if (verdict != X509_V_OK) {
        out.verify_error = X509_verify_cert_error_string(verdict);
    } else if (!out.peer_verified) {
        out.verify_error =
            s.has_names ? "no certificate" : "no name to verify the certificate with";
    }
    return out;
}

std::optional<std::string> TlsSession::channel_binding() const {
    constexpr std::string_view label = "EXPORTER-Channel-Binding"; // RFC 9266 2
    const Impl& s = *impl_;
    SSL* ssl = s.ssl.get();
    if (!s.established) return std::nullopt;
    if (SSL_version(ssl) < TLS1_3_VERSION && SSL_get_extms_support(ssl) != 1) return std::nullopt;
    std::string out(32, '\0');
    const unsigned char none = 0;
    if (SSL_export_keying_material(ssl, openssl::bytes(out), out.size(), label.data(), label.size(),
                                   &none, 0, 1) != 1) {
        ERR_clear_error();
        return std::nullopt;
    }
    return out;
}

} // namespace tambo

// A session with one other mail server, up to the point where mail can be given to it: connect,
// greeting, EHLO, STARTTLS, login. The client side of RFC 5321 3.1 to 3.2, RFC 3207 and RFC 4954.
//
// What the server says before TLS is forgotten after it, and a byte that arrives between "220 go"
// and the handshake ends the session (response injection, RULES.md F8).
#pragma once

#include "common/conf/relayd_config.h"
#include "common/net/stream.h"
#include "common/smtp/client_reply.h"
#include "relayd/route.h"
#include "relayd/timeouts.h"
#include "relayd/verdict.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::relayd {

// The reply that nobody could understand: malformed, or endless.
struct ProtocolError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What is wanted of a session.
struct SessionPolicy {
    std::string hostname; // for EHLO
    conf::TlsDemand tls = conf::TlsDemand::opportunistic;
    bool implicit_tls = false;
    bool starttls = true;       // use it where offered
    std::string user, password; // log in with these; empty: no login
};

struct TlsContexts {
    TlsContext opportunistic, required;
    bool can_verify = true; // false: there are no trusted roots, and required is not to be used
};

class Connection {
  public:
    enum class Opened {
        ready,
        failed,     // failure() says why: try another address
        tls_failed, // the same, but the server may be worth a session without TLS
    };

    // socket: connected, non-blocking.
    Connection(Nursery& nursery, UniqueFd socket, Hop hop, const Timeouts& timeouts);

    // Up to the point where MAIL can be sent. Throws what waits throw (Closed, TimedOut, Cancelled,
    // net::TlsError, std::system_error) and ProtocolError; stage() then says where.
    task<Opened> open(const SessionPolicy& policy, const TlsContexts& contexts);
    // Of an opening that failed, or of a 421 later.
    const Verdict& failure() const { return failure_; }

    // ---- for the transaction
    const Timeouts& timeouts() const { return timeouts_; }
    const Hop& hop() const { return hop_; }
    const smtp::ServerOffer& offer() const { return offer_; }
    bool offers(smtp::Extension e) const { return offer_.extensions.has(e); }
    net::Stream& stream() { return stream_; }
    // "the greeting", "the reply to MAIL": completes "while waiting for ...".
    const std::string& stage() const { return stage_; }

    // Queues a command line; reply() sends it. No CR, LF or NUL may be in it (check).
    void put(std::string_view command);
    // Sends what is queued and reads one whole reply within timeout_ms, however slowly it trickles.
    // An endless refusal counts as one and leaves the session unusable.
    task<smtp::ServerReply> reply(std::string stage, int64_t timeout_ms);
    // The same without sending first: for the last words of a server that takes nothing more.
    task<smtp::ServerReply> read_reply();
    // The next waits end within timeout_ms all together, and within timeouts().session_ms of the
    // opening.
    void set_deadline(int64_t timeout_ms);
    // False after an endless reply, a 421 (RFC 5321 3.8) or a failed content: only close it.
    bool usable() const { return usable_; }
    void give_up() { usable_ = false; }
    // No transaction is open: another one may follow without RSET.
    bool idle() const { return usable_ && idle_; }
    void set_idle(bool idle) { idle_ = idle; }

    // "TLSv1.3", or "" without TLS.
    std::string tls_version() const { return stream_.tls_info().version; }
    TlsInfo tls_info() const { return stream_.tls_info(); }
    int64_t opened_at_ms = 0;
    int messages = 0; // transactions so far

  private:
    task<bool> greet();
    task<bool> hello(const std::string& hostname);
    task<Opened> start_tls(const SessionPolicy& policy, const TlsContexts& contexts);
    task<bool> handshake(const SessionPolicy& policy, const TlsContexts& contexts);
    task<bool> log_in(const SessionPolicy& policy);
    bool fail(const Verdict& verdict);

    Hop hop_;
    Timeouts timeouts_;
    net::Stream stream_;
    smtp::ServerOffer offer_;
    std::string stage_;
    Verdict failure_;
    bool usable_ = true;
    bool idle_ = false;
};

} // namespace tambo::relayd

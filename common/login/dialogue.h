// The dialogue with a client before its login, as far as it is the same in all protocols: may this
// address connect, TLS, and SASL carried between client and authd. It understands no SASL message:
// authd does, and authd passes the session's end on when it is satisfied.
#pragma once

#include "common/base/unique_fd.h"
#include "common/ipc/messages/authd.h"
#include "common/login/connection.h"

#include <string>
#include <string_view>

namespace tambo::login {

// Made by Protocol::dialogue for one connection, which outlives it.
class Dialogue {
  public:
    explicit Dialogue(Connection& connection) : connection_(connection), io_(connection.io) {}
    virtual ~Dialogue() = default;
    Dialogue(const Dialogue&) = delete;

    // Returns the end of the session's socket, not blocking, when somebody has logged in; an
    // invalid one when the client is to go. Throws Closed, TimedOut, net::TlsError. Suspends.
    virtual task<UniqueFd> run() = 0;

  protected:
    // Limits per address are authd's; then the handshake, where the door wants it. Returns why the
    // client is refused, for it to be told if the door is in clear; empty if it is not. Suspends.
    task<std::string> admit();
    // Throws net::TlsError. Suspends.
    task<> handshake();
    // Bytes came in clear behind the command that starts TLS: they would be taken as if they had
    // come under TLS (CVE-2011-0411, RULES.md F7). Says so to the log.
    bool has_injected() const;
    // Asks authd with the client's responses until it says more than "go on". Accepted: session_ is
    // set and the connection has its login. Throws ipc::PeerLost, and what respond() throws.
    task<ipc::SaslAnswer> authenticate(ipc::SaslStart start);
    // The client's answer to a challenge, both as bytes. Throws what the protocol answers.
    virtual task<std::string> respond(std::string challenge) = 0;

    Connection& connection_;
    net::Stream& io_;
    UniqueFd session_;

  private:
    void say_logged_in(const std::string& mechanism) const;
};

// Browsers that were led here are cut off at their first line (ALPACA, RULES.md F10).
bool is_http_method(std::string_view word);

// What a user with a right password may know, and what everybody is told.
inline constexpr std::string_view kTooManySessions =
    "too many sessions of this login from your address";

} // namespace tambo::login

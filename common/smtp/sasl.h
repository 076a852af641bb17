// The server side of SASL PLAIN (RFC 4616) and LOGIN as pure code: messages in, challenges and
// credentials out. No password is judged here (authd does) and none is copied more than once.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tambo::smtp {

enum class Mechanism { plain, login };

struct MechanismRow {
    Mechanism mechanism;
    std::string_view name;
};

std::span<const MechanismRow> sasl_mechanisms();
// By name in any case.
std::optional<Mechanism> find_mechanism(std::string_view name);

// What a client claims. The password is wiped when the object goes.
struct Credentials {
    std::string authorization; // to act as; empty: the same as authentication
    std::string authentication;
    std::string password;

    Credentials() = default;
    Credentials(Credentials&&) noexcept = default;
    Credentials& operator=(Credentials&&) noexcept = default;
    Credentials(const Credentials&) = delete;
    Credentials& operator=(const Credentials&) = delete;
    ~Credentials();
};

// "[authzid] NUL authcid NUL passwd": well-formed UTF-8, names of 1 (authzid: 0) to
// limits::sasl_name_bytes, password of 1 to limits::sasl_password_bytes, no control characters in
// names. nullopt if malformed.
std::optional<Credentials> parse_plain(std::string_view message);

// One authentication exchange. Messages are the decoded bytes, challenges are to be encoded by the
// protocol (base64 for SMTP, IMAP, POP3).
class SaslExchange {
  public:
    enum class State { challenge, complete, malformed };

    explicit SaslExchange(Mechanism mechanism) : mechanism_(mechanism) {}

    // The initial response, or nullopt if the client sent none. Once.
    State start(std::optional<std::string_view> initial);
    // The answer to challenge(). Only after State::challenge.
    State answer(std::string_view message);
    // What to send while the state is challenge; may be empty (PLAIN).
    std::string_view challenge() const { return challenge_; }
    // Of a complete exchange (check).
    const Credentials& credentials() const;

  private:
    enum class Wanted { nothing, plain, name, password };
    State ask(Wanted what, std::string_view challenge);
    State end(bool good);

    Mechanism mechanism_;
    Wanted wanted_ = Wanted::nothing;
    bool complete_ = false;
    std::string_view challenge_;
    Credentials credentials_;
};

} // namespace tambo::smtp

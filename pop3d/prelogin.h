// A connection before its login, the AUTHORIZATION state of RFC 1939 4: greeting, STLS (RFC 2595),
// USER and PASS, AUTH (RFC 5034). It understands no SASL message: authd does, and authd passes the
// session's end on when it is satisfied.
#pragma once

#include "common/ipc/messages/authd.h"
#include "common/login/dialogue.h"

#include <string>
#include <string_view>

namespace tambo::pop3d {

class Prelogin final : public login::Dialogue {
  public:
    using Dialogue::Dialogue;

    // When the connection is over everything has been said. What the client sent behind its login
    // is still in the stream's buffer.
    task<UniqueFd> run() override;

  private:
    // When a command is allowed.
    enum State : unsigned { kClear = 1, kSecured = 2 };
    struct Row {
        std::string_view name;
        unsigned states;
        std::string_view elsewhere; // the answer in any other state
        // The text of +OK; empty when it has been answered, or the session will answer.
        task<std::string> (Prelogin::*run)(std::string args);
    };
    static const Row* find(std::string_view name);

    task<std::string> next_line();
    task<> command(std::string line);
    task<std::string> execute(std::string_view line);
    void answer_bad(std::string_view text);
    void end(std::string why, std::string_view text);

    task<std::string> cmd_auth(std::string args);
    task<std::string> cmd_capa(std::string args);
    task<std::string> cmd_pass(std::string args);
    task<std::string> cmd_quit(std::string args);
    task<std::string> cmd_stls(std::string args);
    task<std::string> cmd_user(std::string args);
    task<> log_in(ipc::SaslStart start);
    task<std::string> respond(std::string challenge) override;
    void judge(const ipc::SaslAnswer& answer);

    std::string user_; // of USER, until the next PASS
    bool over_ = false;
    int commands_ = 0;
    int bad_commands_ = 0;
    int failed_logins_ = 0;
};

// Answered with -ERR, once, where commands are dispatched. code: without brackets, may be empty.
struct No {
    std::string code, text;
};
// The same, and it counts: a client that sends nothing else is cut off.
struct Bad {
    std::string text;
};

// What common/login needs to know of POP3.
extern const login::Protocol kProtocol;

} // namespace tambo::pop3d

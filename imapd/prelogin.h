// A connection before its login: greeting, the commands that RFC 3501 6.1 and 6.2 allow, STARTTLS
// and SASL. It understands no SASL message: authd does, and authd passes the session's end on when
// it is satisfied.
#pragma once

#include "common/ipc/messages/authd.h"
#include "common/login/dialogue.h"
#include "imapd/session/parser.h"
#include "imapd/session/reader.h"

#include <memory>
#include <string>
#include <string_view>

namespace tambo::imapd {

class Prelogin final : public login::Dialogue {
  public:
    using Dialogue::Dialogue;

    // When the connection is over everything has been said. What the client sent behind its login
    // is still in the stream's buffer.
    task<UniqueFd> run() override;

  private:
    using Event = imap::CommandReader::Event;
    struct Row {
        std::string_view name;
        task<std::string> (Prelogin::*run)(imap::Parser& args);
    };
    static const Row* find(std::string_view name);

    task<Event> next_event();
    task<> on_event(Event event);
    task<> refuse();
    task<> command();
    task<std::string> execute();
    task<> finish(std::string line, bool bad);
    task<> end(std::string why, std::string text);
    bool is_http() const;
    std::string capabilities() const;
    void require_tls() const;

    task<std::string> cmd_capability(imap::Parser& args);
    task<std::string> cmd_noop(imap::Parser& args);
    task<std::string> cmd_id(imap::Parser& args);
    task<std::string> cmd_logout(imap::Parser& args);
    task<std::string> cmd_starttls(imap::Parser& args);
    task<std::string> cmd_login(imap::Parser& args);
    task<std::string> cmd_authenticate(imap::Parser& args);
    task<> log_in(ipc::SaslStart start);
    task<std::string> respond(std::string challenge) override;
    void judge(const ipc::SaslAnswer& answer);

    imap::CommandReader reader_{imap::kPreloginLimits};
    std::string tag_;
    bool over_ = false;
    bool first_ = true; // no command has come yet
    int commands_ = 0;
    int bad_commands_ = 0;
    int failed_logins_ = 0;
};

// What common/login needs to know of IMAP.
extern const login::Protocol kProtocol;

} // namespace tambo::imapd

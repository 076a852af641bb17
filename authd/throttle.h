// Limits per client address and per login, counted here for the whole suite. Pure over a clock.
// Loopback and local peers are never limited unless limits.loopback says so.
#pragma once

#include "authd/failures.h"
#include "authd/token.h"
#include "common/base/id.h"
#include "common/base/time.h"
#include "common/conf/authd_config.h"
#include "common/ipc/messages/authd.h"

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace tambo::authd {

class Throttle {
  public:
    Throttle(const conf::AuthdConfig& config, Clock& clock) : config_(config), clock_(clock) {}
    void configure(const conf::AuthdConfig& config) { config_ = config; }

    // Counts a connection if it is allowed.
    ipc::ConnectionVerdict open(ipc::Service service, std::string_view client_ip);
    void close(ipc::Service service, std::string_view client_ip);

    // Failed logins (authd/failures.h). account: the key of the address that the client gave, empty
    // if it gave none.
    bool may_authenticate(std::string_view client_ip, std::string_view account);
    // How long to wait before a failure is answered, up to the configured maximum.
    int64_t failed(std::string_view client_ip, std::string_view account);
    void succeeded(std::string_view client_ip, std::string_view account);

    // Counts an IMAP or POP3 session of the account from the address; false: it has as many as it
    // may. Sessions that are exempt are counted as well, for the day that they are not.
    bool open_session(const Id& account, std::string_view client_ip);
    void close_session(const Id& account, std::string_view client_ip);

    // Counts a message of the login; a refusal (code != 0) counts nothing.
    ipc::ReplyText count_message(const Login& login, uint32_t recipients);

    // Forgets what no longer matters; call now and then.
    void tidy();

  private:
    struct Client {
        int64_t connections = 0;
        std::deque<int64_t> recent_ms; // connections within the last minute
    };
    struct Day {
        int64_t day = 0;
        int64_t messages = 0, recipients = 0;
    };
    bool is_exempt(std::string_view client_ip) const;
    Failures::Limits failure_limits() const;
    static void expire(std::deque<int64_t>& times, int64_t before);

    conf::AuthdConfig config_;
    Clock& clock_;
    std::map<std::string, Client, std::less<>> clients_; // by /32 or /64
    Failures failures_;
    std::map<std::string, Day, std::less<>> logins_;
    std::map<std::pair<Id, std::string>, int64_t> sessions_; // by account and /32 or /64
};

// "192.0.2.1", or the /64 of an IPv6 address in text form; the text itself if it is neither.
std::string network_of(std::string_view ip);
bool is_loopback(std::string_view ip);

} // namespace tambo::authd

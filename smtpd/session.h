// One SMTP connection, from the accept to its end: greeting, command loop, dispatch. The commands
// themselves are in cmd_*.cc, one file for each group of RFC 5321 4.1.1.
//
// The session never decides who may do what: authd says yes or no for each address, queued has the
// last word when the message is complete. It never echoes a client's bytes.
#pragma once

#include "common/net/address.h"
#include "common/net/stream.h"
#include "common/smtp/command.h"
#include "common/smtp/reply.h"
#include "smtpd/service.h"
#include "smtpd/transaction.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::smtpd {

class Content;
class SpoolFile;
struct Authors;

// Which door the client came through.
enum class Door { smtp, submission, submissions, local };

struct Arrival {
    Door door = Door::smtp;
    net::SocketAddress peer;
    // Of a user of this machine, as authd says: it knows them from the kernel.
    uint32_t uid = 0;
    std::string token, login;
};

// Ends the session from anywhere below: the reply goes out, then the connection closes.
struct Farewell : std::exception {
    smtp::Reply reply;
    std::string_view why; // for the event

    Farewell(smtp::Reply last_reply, std::string_view reason)
        : reply(std::move(last_reply)), why(reason) {}
    const char* what() const noexcept override { return "session ends"; }
};

class Session {
  public:
    // Serves the connection until it ends; the task owns everything. Service outlives it.
    static task<> serve(Service& service, UniqueFd socket, Arrival arrival);

    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // The process is draining: the session looks whether it has to end (must_leave).
    void wake() { stream_.wake(); }

  private:
    // Where in RFC 5321 4.1.4 the session stands; commands say where they may come.
    enum State : unsigned { fresh = 1, greeted = 2, in_mail = 4, anywhere = 7 };
    enum Trait : unsigned {
        plain = 0,
        junk = 1,        // may be repeated only so often between messages
        ends_group = 2,  // RFC 2920 3.1: nothing may be pipelined behind it
        pipelines = 4,   // needs PIPELINING if something is pipelined behind it
        reads_on = 8,    // reads more than its line, which is gone by then
        before_tls = 16, // RFC 3207 4: allowed where TLS is demanded and not yet on
    };
    struct Verb {
        std::string_view name;
        unsigned allowed; // State
        unsigned traits;  // Trait
        task<smtp::Reply> (Session::*handler)(std::string_view arguments);
    };
    static const Verb kVerbs[];
    static const Verb* find_verb(std::string_view name);

    Session(Service& service, UniqueFd socket, Arrival arrival);

    task<> run();
    task<> talk();
    task<> admit();
    void admit_local_user();
    task<> greet();
    task<> read_commands();
    task<std::string_view> next_line(size_t bytes_max);
    bool must_leave() const;
    task<smtp::Reply> dispatch(std::string_view line);
    task<> settle(smtp::Reply reply);
    task<> take_leave(smtp::Reply reply);
    void check_turn(const Verb& verb) const;
    [[noreturn]] void refuse_unknown(std::string_view verb) const;
    void count_errors(const smtp::Reply& reply);
    void
    log_refusal(std::string_view verb, std::string_view arguments, const smtp::Reply& reply) const;

    // ---- cmd_hello.cc
    task<smtp::Reply> cmd_ehlo(std::string_view arguments);
    task<smtp::Reply> cmd_helo(std::string_view arguments);
    void hello(std::string_view arguments, bool extended);
    // ---- cmd_mail.cc, cmd_rcpt.cc
    task<smtp::Reply> cmd_mail(std::string_view arguments);
    task<smtp::Reply> cmd_rcpt(std::string_view arguments);
    // ---- cmd_data.cc
    task<smtp::Reply> cmd_data(std::string_view arguments);
    task<> receive(SpoolFile& spool, Content& content);
    task<smtp::Reply> conclude(SpoolFile& spool, const Content& content, Transaction& mail);
    void log_message_refusal(const Id& qid,
                             const Content& content,
                             const Transaction& mail,
                             const smtp::Reply& reply);
    task<> check_author(const Content& content, const Transaction& mail);
    task<> require_own(const Authors& authors, const Transaction& mail, smtp::ReplyText refusal);
    task<> look_up_client();
    // ---- cmd_auth.cc, cmd_tls.cc
    task<smtp::Reply> cmd_auth(std::string_view arguments);
    task<std::string> auth_response(std::string_view challenge);
    smtp::Reply auth_refused();
    task<smtp::Reply> cmd_starttls(std::string_view arguments);
    task<> handshake();
    // ---- cmd_misc.cc
    task<smtp::Reply> cmd_rset(std::string_view arguments);
    task<smtp::Reply> cmd_noop(std::string_view arguments);
    task<smtp::Reply> cmd_quit(std::string_view arguments);
    task<smtp::Reply> cmd_vrfy(std::string_view arguments);
    task<smtp::Reply> cmd_expn(std::string_view arguments);
    task<smtp::Reply> cmd_help(std::string_view arguments);
    task<smtp::Reply> cmd_bdat(std::string_view arguments);
    task<smtp::Reply> cmd_xclient(std::string_view arguments);

    bool is_local() const { return arrival_.door == Door::local; }
    // On the local socket names may stand without a domain: they are this host's.
    std::string_view unqualified_domain() const;
    bool is_authenticated() const { return !token_.empty(); }
    bool exempt_from_limits() const;
    ipc::Service ipc_service() const;
    std::string client_ip() const { return arrival_.peer.ip(); }
    void end_transaction();
    void put(const smtp::Reply& reply);

    Service& service_;
    net::Stream stream_;
    Arrival arrival_;
    std::string sid_;
    std::string long_line_; // a line put together around bare LFs
    std::string ended_why_ = "closed";
    // Of the command that is being answered, for the event.
    std::string refused_rcpt_, refused_from_;
    bool refusal_logged_ = false;
    unsigned state_ = fresh;
    bool counted_ = false; // authd counts this connection
    bool closing_ = false;

    smtp::HelloName hello_;
    bool extended_ = false; // EHLO, not HELO
    smtp::ExtensionSet announced_;
    std::string token_, login_;              // after AUTH, or of the local user
    std::optional<std::string> client_name_; // nullopt: not asked yet; empty: none
    Transaction transaction_;

    int errors_ = 0, junk_ = 0, overshoot_ = 0, auth_failures_ = 0;
    uint64_t messages_ = 0, recipients_ = 0;
    int64_t started_ms_, session_end_ms_;
    int64_t arrived_ms_; // when the server was last done with what comes before mail: TLS, AUTH
};

} // namespace tambo::smtpd

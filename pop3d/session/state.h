// The state of a session and its commands. session.cc has the loop and the dispatch, commands.cc
// and cmd_retr.cc the commands.
#pragma once

#include "common/net/stream.h"
#include "common/store/view.h"
#include "pop3d/session/command_line.h"
#include "pop3d/session/session.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::pop3 {

// Answered with -ERR, once, in dispatch. code: without brackets, may be empty (RFC 2449 8).
struct No {
    std::string code, text;
};
// The same, and it counts: a client that sends nothing else is cut off.
struct Bad {
    std::string text;
};

// RFC 1939 3. What comes before the login is pop3d's; UPDATE lasts as long as QUIT.
enum State : unsigned { kAuthorization = 1, kTransaction = 2 };

class Session {
  public:
    Session(Nursery& nursery, UniqueFd client, store::Account& account, SessionSettings settings);
    // Gives the maildrop back and tells the log.
    ~Session();
    Session(const Session&) = delete;

    task<> run();

  private:
    struct Row {
        std::string_view name;
        unsigned states;
        size_t arguments_min, arguments_max;
        task<> (Session::*run)();
    };
    static const Row* find(std::string_view name);

    task<> serve();
    bool open_maildrop();
    bool load_messages(std::shared_ptr<store::Mailbox> inbox);
    void unlock();
    task<> command(std::string_view line);
    task<> execute(std::string_view line);
    void ok(std::string_view text);
    void err(std::string_view code, std::string_view text);
    task<> make_room(size_t bytes);
    task<> breathe();

    // ---- for commands. Arguments are numbers throughout; absent ones are nullopt.
    void parse_arguments(const Row& row, std::string_view rest);
    uint32_t count() const { return static_cast<uint32_t>(deleted_.size()); }
    // The message that the first argument names (RFC 1939 5); throws No.
    uint32_t message_number() const;
    task<> send_text(uint32_t number, std::optional<uint64_t> body_lines);
    task<> send_list(std::string (Session::*line)(uint32_t number) const);
    std::string list_line(uint32_t number) const;
    std::string uidl_line(uint32_t number) const;

    task<> cmd_capa();
    task<> cmd_stat();
    task<> cmd_list();
    task<> cmd_uidl();
    task<> cmd_dele();
    task<> cmd_rset();
    task<> cmd_noop();
    task<> cmd_quit();
    task<> cmd_retr();
    task<> cmd_top();

    Nursery& nursery_;
    SessionSettings settings_;
    store::Account& account_;
    net::Stream io_;
    std::unique_ptr<store::View> view_; // never synced: numbers stay as they were at the login
    std::vector<Id> email_ids_;         // by message number - 1
    std::vector<bool> deleted_;         // likewise
    uint32_t messages_left_ = 0;        // without the deleted ones, and
    uint64_t bytes_left_ = 0;           // their octets
    std::vector<std::optional<uint64_t>> arguments_;
    unsigned state_ = kTransaction;
    bool locked_ = false, done_ = false;
    int bad_commands_ = 0;
    uint64_t commands_ = 0, retrieved_ = 0, removed_ = 0;
    int64_t started_ms_, breath_ms_;
    std::string why_ = "gone"; // how the session ended, for the event
};

// What the store refused. [SYS/TEMP] and [SYS/PERM]: RFC 3206 4.
No refused(store::Refusal refusal);

} // namespace tambo::pop3

// See session.h and state.h. Replies are collected and written once for each batch of pipelined
// commands; nothing more is read while the client does not take its replies (RULES.md D9).
#include "pop3d/session/session.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "pop3d/session/state.h"

#include <algorithm>
#include <array>

namespace tambo::pop3 {

namespace {

constexpr int64_t kBreathMs = 20;
constexpr std::string_view kInbox = "INBOX";

UniqueFd nonblocking(UniqueFd fd) {
    set_nonblocking(fd.get());
    return fd;
}

} // namespace

task<>
serve_pop3(Nursery& nursery, UniqueFd client, store::Account& account, SessionSettings settings) {
    Session session(nursery, std::move(client), account, std::move(settings));
    co_await session.run();
}

Session::Session(Nursery& nursery,
                 UniqueFd client,
                 store::Account& account,
                 SessionSettings settings)
    : nursery_(nursery), settings_(std::move(settings)), account_(account),
      io_(nursery, nonblocking(std::move(client)), limits::pop3_idle_timeout_ms),
      started_ms_(Loop::monotonic_ms()), breath_ms_(started_ms_) {}

Session::~Session() {
    unlock();
    log::Event("pop3.session_ended")
        .sid(settings_.sid)
        .with("ip", settings_.client_ip)
        .with("login", settings_.address)
        .with("why", why_)
        .with("commands", static_cast<int64_t>(commands_))
        .with("retrieved", static_cast<int64_t>(retrieved_))
        .with("removed", static_cast<int64_t>(removed_))
        .with("ms", Loop::monotonic_ms() - started_ms_);
}

// ---- the maildrop

// RFC 1939 4. The answer to the login is the first thing that a session says.
bool Session::open_maildrop() {
    if (!account_.lock_maildrop()) {
        why_ = "in_use";
        err("IN-USE", "another session has the maildrop"); // RFC 2449 8.1.1
        return false;
    }
    locked_ = true;
    auto inbox = account_.select(kInbox);
    if (!inbox || !load_messages(std::move(*inbox))) {
        why_ = "store";
        err("SYS/TEMP", "the maildrop cannot be opened");
        return false;
    }
    ok(cat("maildrop ready, ", count(), count() == 1 ? " message" : " messages"));
    return true;
}

// The snapshot: read-only, because a POP3 client takes \Recent from nobody.
bool Session::load_messages(std::shared_ptr<store::Mailbox> inbox) {
    auto ids = account_.read_aux(*inbox, std::nullopt);
    if (!ids) return false;
    view_ = std::make_unique<store::View>(account_, std::move(inbox), true);
    const uint32_t messages = view_->count();
    if (ids->size() != messages) return false;
    email_ids_.reserve(messages);
    for (uint32_t number = 1; number <= messages; ++number) {
        const store::Aux& aux = (*ids)[number - 1];
        const store::Entry& entry = view_->at(number);
        if (aux.uid != entry.uid) return false;
        email_ids_.push_back(aux.email_id);
        bytes_left_ += entry.size;
    }
    deleted_.resize(messages);
    messages_left_ = messages;
    return true;
}

void Session::unlock() {
    if (locked_) account_.unlock_maildrop();
    locked_ = false;
}

// ---- the loop

task<> Session::run() {
    try {
        co_await serve();
    } catch (const TimedOut&) {
        // RFC 1939 3: closed without a word, and nothing is removed.
        why_ = "timeout";
        throw;
    } catch (const Cancelled&) {
        why_ = "cancelled";
        throw;
    }
}

task<> Session::serve() {
    done_ = !open_maildrop();
    while (!done_) {
        if (!io_.has_line()) co_await io_.flush();
        std::string line;
        try {
            line = co_await io_.read_line(limits::pop3_line_bytes);
        } catch (const net::LineTooLong&) {
            err("", "line too long");
            why_ = "line_too_long";
            break;
        }
        co_await command(line);
        co_await make_room(0);
        // After a failure of the store nothing it says counts: the process ends.
        if (account_.failure() && !done_) {
            why_ = "store";
            done_ = true;
        }
        co_await breathe();
    }
    unlock();
    co_await io_.flush();
    io_.finish();
}

// Flushes unless so many bytes more may wait for the client.
task<> Session::make_room(size_t bytes) {
    if (io_.output_pending() + bytes >= limits::output_pending_bytes) co_await io_.flush();
}

// Lets the other coroutines of the process run if this session has been at it for long.
task<> Session::breathe() {
    if (Loop::monotonic_ms() - breath_ms_ < kBreathMs) co_return;
    co_await sleep_ms(nursery_, 0);
    breath_ms_ = Loop::monotonic_ms();
}

// ---- dispatch

const Session::Row* Session::find(std::string_view name) {
    static constexpr std::array<Row, 15> kRows{{
        {"CAPA", kTransaction, 0, 0, &Session::cmd_capa},
        {"DELE", kTransaction, 1, 1, &Session::cmd_dele},
        {"LIST", kTransaction, 0, 1, &Session::cmd_list},
        {"NOOP", kTransaction, 0, 0, &Session::cmd_noop},
        {"QUIT", kTransaction, 0, 0, &Session::cmd_quit},
        {"RETR", kTransaction, 1, 1, &Session::cmd_retr},
        {"RSET", kTransaction, 0, 0, &Session::cmd_rset},
        {"STAT", kTransaction, 0, 0, &Session::cmd_stat},
        {"TOP", kTransaction, 2, 2, &Session::cmd_top},
        {"UIDL", kTransaction, 0, 1, &Session::cmd_uidl},
        // Known, so that a client learns what it did wrong.
        {"APOP", kAuthorization, 0, 0, nullptr},
        {"AUTH", kAuthorization, 0, 0, nullptr},
        {"PASS", kAuthorization, 0, 0, nullptr},
        {"STLS", kAuthorization, 0, 0, nullptr},
        {"USER", kAuthorization, 0, 0, nullptr},
    }};
    const auto* const row = std::find_if(kRows.begin(), kRows.end(),
                                         [name](const Row& r) { return iequals(r.name, name); });
    return row == kRows.end() ? nullptr : row;
}

task<> Session::command(std::string_view line) {
    ++commands_;
    bool bad = false;
    try {
        co_await execute(line);
    } catch (const No& no) {
        err(no.code, no.text);
    } catch (const Bad& e) {
        err("", e.text);
        bad = true;
    }
    if (bad && ++bad_commands_ >= limits::bad_commands) {
        why_ = "bad_commands";
        done_ = true;
    }
}

task<> Session::execute(std::string_view line) {
    const CommandLine command = parse_command(line);
    const Row* row = find(command.name);
    if (row == nullptr) throw Bad{"no such command"};
    if ((row->states & state_) == 0) throw Bad{"already logged in"};
    parse_arguments(*row, command.rest);
    co_await (this->*row->run)();
}

void Session::parse_arguments(const Row& row, std::string_view rest) {
    arguments_.clear();
    for (const auto word : split(trim(rest), ' ')) {
        if (!word.empty()) arguments_.push_back(parse_uint(word));
    }
    const size_t given = arguments_.size();
    if (given < row.arguments_min || given > row.arguments_max) {
        throw Bad{"wrong number of arguments"};
    }
    for (const auto& argument : arguments_) {
        if (!argument) throw Bad{"that is not a number"};
    }
}

void Session::ok(std::string_view text) {
    io_.put(cat("+OK ", text, "\r\n"));
}

void Session::err(std::string_view code, std::string_view text) {
    io_.put(code.empty() ? cat("-ERR ", text, "\r\n") : cat("-ERR [", code, "] ", text, "\r\n"));
}

No refused(store::Refusal refusal) {
    const bool lasting = refusal == store::Refusal::no_body || refusal == store::Refusal::corrupt;
    return No{lasting ? "SYS/PERM" : "SYS/TEMP", std::string(store::text_of(refusal))};
}

} // namespace tambo::pop3

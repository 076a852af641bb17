// The commands that change nothing but RSET's transaction and QUIT's connection: RFC 5321 4.1.1.5
// to 4.1.1.10 (RULES.md F16), and those that are refused on purpose.
#include "common/smtp/reply_texts.h"
#include "smtpd/session.h"

namespace tambo::smtpd {

namespace replies = smtp::replies;
using smtp::Reject;
using smtp::Reply;

task<Reply> Session::cmd_rset(std::string_view arguments) {
    if (!arguments.empty()) throw Reject(replies::bad_syntax);
    ++junk_;
    end_transaction();
    co_return replies::ok;
}

task<Reply> Session::cmd_noop(std::string_view) {
    ++junk_;
    co_return replies::ok;
}

task<Reply> Session::cmd_quit(std::string_view arguments) {
    if (!arguments.empty()) throw Reject(replies::bad_syntax);
    closing_ = true;
    ended_why_ = "quit";
    co_return replies::bye;
}

// RFC 5321 7.3: neither confirms nor denies.
task<Reply> Session::cmd_vrfy(std::string_view arguments) {
    ++junk_;
    if (arguments.empty()) throw Reject(replies::bad_syntax);
    co_return replies::cannot_verify;
}

task<Reply> Session::cmd_expn(std::string_view) {
    ++junk_;
    throw Reject(replies::not_implemented);
    co_return Reply();
}

task<Reply> Session::cmd_help(std::string_view) {
    ++junk_;
    co_return replies::help;
}

// CHUNKING is not announced; what follows a BDAT is content, which must not be read as commands.
task<Reply> Session::cmd_bdat(std::string_view) {
    throw Farewell(replies::bad_sequence, "bdat");
    co_return Reply();
}

// No listener trusts anybody's word about a client's address (RULES.md A1).
task<Reply> Session::cmd_xclient(std::string_view) {
    throw Reject(550, "5.7.0", "not authorised");
    co_return Reply();
}

} // namespace tambo::smtpd

// sendmail(1), mailq(1), newaliases(1): the names that local programs know. The message goes over
// the local submission socket, where SO_PEERCRED names the sender; when nobody listens it is left
// in drop/, and the next start of the suite submits it.
#pragma once

#include "common/base/time.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::cli {

// The options that programs use; unknown -o and the ones without meaning here are accepted.
struct SendmailOptions {
    std::string sender;                  // -f, -r; empty: the caller
    bool null_sender = false;            // -f '<>'
    std::string full_name;               // -F
    bool recipients_from_header = false; // -t
    bool ignore_dots = false;            // -i, -oi: a line with a dot alone does not end the input
    bool list_queue = false;             // -bp
    bool rebuild_aliases = false;        // -bi
    bool speak_smtp = false;             // -bs
    std::vector<std::string> recipients;
};

// Understands grouped flags ("-oi", "-ti", "-fuser"). Error: what is wrong.
std::optional<SendmailOptions> parse_sendmail_options(const std::vector<std::string>& words,
                                                      std::string& error);

// What is submitted: an SMTP dialogue's input, complete from EHLO to QUIT, recipients and message
// included (the same bytes go to the socket or into drop/).
struct Submission {
    std::string sender; // "" for <>
    std::vector<std::string> recipients;
    std::string message; // CRLF lines, Bcc removed with -t, From/Date/Message-ID added if missing
};

// Prepares the input of one message. defaults: the caller's address and full name for From.
// Error texts name what is missing.
std::optional<Submission> prepare(const SendmailOptions& options,
                                  std::string_view input,
                                  const std::string& caller_address,
                                  UtcTime now,
                                  std::string& error);
std::string smtp_script(const Submission& submission, const std::string& host);

// argv[0] is sendmail, mailq or newaliases. Exit status of sysexits(3).
int run_sendmail(const std::string& name, int argc, char** argv);

} // namespace tambo::cli

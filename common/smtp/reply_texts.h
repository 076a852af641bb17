// Every fixed reply that the SMTP server gives, in one table: tests, man page and translators of
// codes read it here. A reply never contains bytes of the client.
#pragma once

#include "common/smtp/reply.h"

namespace tambo::smtp::replies {

// ---- success
inline constexpr ReplyText ok{250, "2.0.0", "ok"};
inline constexpr ReplyText sender_ok{250, "2.1.0", "sender ok"};
inline constexpr ReplyText recipient_ok{250, "2.1.5", "recipient ok"};
inline constexpr ReplyText start_data{354, "", "go ahead, end with <CRLF>.<CRLF>"};
inline constexpr ReplyText ready_for_tls{220, "2.0.0", "ready to start TLS"};
inline constexpr ReplyText authenticated{235, "2.7.0", "authentication successful"};
inline constexpr ReplyText bye{221, "2.0.0", "bye"};
inline constexpr ReplyText help{214, "2.0.0", "see RFC 5321"};
// RFC 5321 3.5.3, 7.3: neither yes nor no.
inline constexpr ReplyText cannot_verify{252, "2.0.0", "cannot verify, but will try to deliver"};

// ---- command line (RFC 5321 4.2.4, 4.3.2)
inline constexpr ReplyText line_too_long{500, "5.5.2", "line too long"};
inline constexpr ReplyText unknown_command{500, "5.5.1", "unknown command"};
inline constexpr ReplyText bad_bytes{501, "5.5.2", "control characters in command"};
inline constexpr ReplyText bad_syntax{501, "5.5.4", "syntax error in arguments"};
inline constexpr ReplyText bad_hello{501, "5.5.4", "a domain or address literal is needed"};
inline constexpr ReplyText not_implemented{502, "5.5.1", "command not implemented"};
inline constexpr ReplyText bad_sequence{503, "5.5.1", "bad sequence of commands"};
inline constexpr ReplyText no_recipients{554, "5.5.1", "no valid recipients"};
inline constexpr ReplyText unknown_parameter{555, "5.5.4", "parameter not recognised"};
inline constexpr ReplyText bad_parameter{501, "5.5.4", "syntax error in parameter"};

// ---- addresses
inline constexpr ReplyText bad_sender{501, "5.1.7", "bad sender address syntax"};
inline constexpr ReplyText bad_recipient{501, "5.1.3", "bad recipient address syntax"};
inline constexpr ReplyText source_route{550, "5.7.1", "source routes are not accepted"};
inline constexpr ReplyText relay_denied{550, "5.7.1", "relaying denied"};
inline constexpr ReplyText unknown_user{550, "5.1.1", "no such recipient here"};
inline constexpr ReplyText needs_smtputf8{553, "5.6.7", "address needs SMTPUTF8"};
inline constexpr ReplyText not_your_address{553, "5.7.1", "this address is not yours"};
inline constexpr ReplyText too_many_recipients{452, "4.5.3", "too many recipients"};

// ---- the message
inline constexpr ReplyText message_too_big{552, "5.3.4", "message too big"};
inline constexpr ReplyText header_too_big{552, "5.3.4", "header section too big"};
inline constexpr ReplyText bare_line_ends{550, "5.5.2", "bare CR, bare LF or NUL in message"};
inline constexpr ReplyText bad_field_name{550, "5.6.0",
                                          "control character in a header field's name"};
inline constexpr ReplyText too_many_hops{554, "5.4.6", "too many hops, mail loop"};
inline constexpr ReplyText bad_from{550, "5.7.1", "exactly one From field is needed"};
inline constexpr ReplyText from_not_yours{550, "5.7.1", "the From address is not yours"};
inline constexpr ReplyText bad_sender_field{550, "5.7.1", "at most one Sender field, with one address"};
inline constexpr ReplyText sender_not_yours{550, "5.7.1", "the Sender address is not yours"};
inline constexpr ReplyText local_error{451, "4.3.0", "local error, try again later"};
inline constexpr ReplyText disk_full{452, "4.3.1", "insufficient storage, try again later"};

// ---- TLS and authentication (RFC 3207, RFC 4954)
inline constexpr ReplyText tls_first{530, "5.7.0", "use STARTTLS first"};
inline constexpr ReplyText auth_required{530, "5.7.0", "authentication required"};
inline constexpr ReplyText tls_unavailable{454, "4.7.0", "TLS not available now"};
inline constexpr ReplyText encryption_required{538, "5.7.11", "encryption required"};
inline constexpr ReplyText bad_credentials{535, "5.7.8", "authentication failed"};
inline constexpr ReplyText auth_unavailable{454, "4.7.0", "authentication not available now"};
inline constexpr ReplyText auth_cancelled{501, "5.7.0", "authentication cancelled"};
inline constexpr ReplyText auth_bad_base64{501, "5.5.2", "malformed base64"};
inline constexpr ReplyText auth_line_too_long{500, "5.5.6", "authentication line too long"};
inline constexpr ReplyText unknown_mechanism{504, "5.5.4", "mechanism not supported"};

// ---- the connection ends
inline constexpr ReplyText timed_out{421, "4.4.2", "timeout"};
inline constexpr ReplyText session_too_long{421, "4.4.2", "session took too long"};
inline constexpr ReplyText shutting_down{421, "4.3.2", "service shutting down"};
inline constexpr ReplyText too_many_errors{421, "4.7.0", "too many errors"};
inline constexpr ReplyText too_many_connections{421, "4.7.0", "too many connections"};
inline constexpr ReplyText not_smtp{421, "4.7.0", "this is a mail server"};
// Early talkers and unauthorised pipelining; bytes behind STARTTLS (RULES.md F7, F15).
inline constexpr ReplyText out_of_turn{554, "5.5.1", "you spoke out of turn"};

} // namespace tambo::smtp::replies

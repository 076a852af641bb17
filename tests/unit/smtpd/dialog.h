// Transcripts of SMTP dialogues (tests/dialog/smtpd/*.dlg) and their player.
//
//   @ mx | submission | submissions | local    which listener; mx is the default
//   @ peer IP, @ uid N, @ set KEY VALUE
//   @ no-cuts                                    where the segments are what is tested
//   c> text        the client sends text and CRLF; lines in a row are one write
//   c+ text        the same without CRLF
//   c* N text      text repeated N times, and CRLF
//   s> text        the next reply line is exactly this
//   s~ text        the next reply line begins with this
//   tls            the client starts TLS (where the server is ready for it)
//   tls-fails      the same, and the server gives up
//   closed         the server closes, having said nothing more
//   closed-or-alert   the same, perhaps with a TLS alert
//   messages N     so many messages have been committed
//   body text, prefix~ text, from text, to text ...    of the last one; prefix~: contains
// Escapes in text: \xNN \r \n \t \\ . A '#' begins a comment line.
#pragma once

#include "tests/unit/smtpd/world.h"

#include <string>
#include <string_view>
#include <vector>

namespace tambo::smtpd::test {

struct Step {
    std::string verb, text;
    int line = 0;
};

struct Dialog {
    std::string name;
    std::vector<Step> steps;
    size_t client_bytes = 0;
    bool cuts = true;
};

Dialog parse_dialog(std::string name, std::string_view text);

// Plays it whole, then with a cut at every byte up to 4 KiB and at 64 places beyond. Returns ""
// or what went wrong and where.
std::string play_everywhere(const Dialog& dialog);

} // namespace tambo::smtpd::test

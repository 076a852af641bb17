// What the owner of a file in drop/ is told when the message was refused: sendmail(1) had said 0,
// because nobody was there who could refuse it. Pure.
#pragma once

#include "common/base/id.h"
#include "common/base/time.h"
#include "common/smtp/client_reply.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tambo::smtpd {

struct DropRefusal {
    std::string recipient; // as the script names it
    smtp::ServerReply reply;
};

struct DropReport {
    Id id;
    UtcTime now;
    std::string hostname, to; // to: the owner
    std::vector<DropRefusal> refused;
    bool others_took_it = false; // the message is on its way to other recipients
    std::string message;         // the beginning at least, as it was left
    bool whole = true;           // all of it
};

// The report as a message (RFC 3464), CRLF lines; the whole message in it only if report.whole.
std::string compose_drop_report(const DropReport& report);

} // namespace tambo::smtpd

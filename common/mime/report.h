// Delivery status notifications: multipart/report with a text for people, message/delivery-status
// for programs, and the message or its header (RFC 3464, RFC 6522, RFC 6533 for UTF-8).
#pragma once

#include "common/base/id.h"
#include "common/base/time.h"
#include "common/mime/message_view.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tambo::mime {

enum class ReportAction : uint8_t { failed, delayed, delivered, relayed, expanded };

// RFC 3464 2.3. Empty strings and absent times are left out of the report.
struct ReportRecipient {
    std::string address;            // UTF-8; Final-Recipient
    std::string original_recipient; // as ORCPT gave it, "type;address"
    ReportAction action = ReportAction::failed;
    std::string status;     // "5.1.1"
    std::string remote_mta; // name of the host that answered
    std::string diagnostic; // what it answered: "550 5.1.1 no such user"; any bytes
    std::optional<UtcTime> last_attempt, will_retry_until;
};

// RFC 3464 2.2 and the message around it.
struct Report {
    Id id; // makes the message id and the boundary
    UtcTime date;
    std::string hostname;                            // Reporting-MTA
    std::string from_name, from_address, to_address; // UTF-8 addresses only if utf8
    std::string subject;                             // UTF-8
    std::string text;                                // for people: UTF-8, lines LF
    std::string envelope_id;                         // ENVID of the sender, decoded
    std::optional<UtcTime> arrival;
    std::vector<ReportRecipient> recipients;
    bool include_message = false; // false, or over limits::bounce_full_message_bytes: header only
    bool utf8 = false;            // the sender's system takes SMTPUTF8: addresses stay UTF-8
};

// The whole message, CR LF line ends. Marked Auto-Submitted (RFC 3834), threaded to original by
// References. It has 8-bit bytes only where original has them, or if report.utf8. original is
// copied as it is.
std::string compose_report(const Report& report, const MessageView& original);

} // namespace tambo::mime

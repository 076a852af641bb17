// See report.h.
#include "common/mime/report.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/mime/charset.h"
#include "common/mime/compose.h"
#include "common/mime/header.h"
#include "common/mime/lexer.h"

#include <algorithm>
#include <array>

namespace tambo::mime {

namespace {

constexpr std::array<std::string_view, 5> kActions{"failed", "delayed", "delivered", "relayed",
                                                   "expanded"};
constexpr size_t kDiagnosticBytes = 4096;

// A remote's words: printable ASCII, nothing that ends a field or fills a line.
std::string printable(std::string_view text) {
    constexpr size_t kWordBytes = 200;
    std::string out;
    size_t word = 0;
    for (const char c : text.substr(0, kDiagnosticBytes)) {
        word = is_ctl(c) || c == ' ' ? 0 : word + 1;
        if (word > kWordBytes) {
            out.push_back(' ');
            word = 1;
        }
        out.push_back(is_ctl(c) ? ' ' : is_8bit(c) ? '?' : c);
    }
    return out;
}

// RFC 6533 3 utf-8-addr-xtext: for reports that must be ASCII.
std::string escape_utf8(std::string_view address) {
    std::string out;
    while (!address.empty()) {
        const auto character = address.substr(0, std::max<size_t>(1, utf8_sequence(address)));
        address.remove_prefix(character.size());
        const char c = character[0];
        const bool qchar = c > ' ' && c < 0x7f && c != '+' && c != '=' && c != '\\';
        if (qchar) {
            out.push_back(c);
            continue;
        }
        std::string hex;
        for (char32_t code = code_point(character); code > 0 || hex.size() < 2; code >>= 4) {
            hex.insert(0, 1, "0123456789ABCDEF"[code & 15]);
        }
        out += cat("\\x{", hex, '}');
    }
    return out;
}

std::string typed_address(std::string_view address, bool utf8) {
    if (is_ascii(address)) return cat("rfc822; ", address);
    const std::string clean = guess_utf8(address);
    return cat("utf-8; ", utf8 ? clean : escape_utf8(clean));
}

void append_recipient(std::string& out, const ReportRecipient& recipient, bool utf8) {
    out += "\r\n"; // RFC 3464 2.1: groups of fields with blank lines between
    if (!recipient.original_recipient.empty()) {
        const auto& original = recipient.original_recipient;
        append_field(out, "Original-Recipient", utf8 ? original : printable(original));
    }
    append_field(out, "Final-Recipient", typed_address(recipient.address, utf8));
    append_field(out, "Action", kActions[static_cast<size_t>(recipient.action)]);
    append_field(out, "Status", printable(recipient.status));
    if (!recipient.remote_mta.empty()) {
        append_field(out, "Remote-MTA", cat("dns; ", printable(recipient.remote_mta)));
    }
    if (!recipient.diagnostic.empty()) {
        append_field(out, "Diagnostic-Code", cat("smtp; ", printable(recipient.diagnostic)));
    }
    if (recipient.last_attempt) {
        append_field(out, "Last-Attempt-Date", format_rfc5322(*recipient.last_attempt));
    }
    if (recipient.will_retry_until) {
        append_field(out, "Will-Retry-Until", format_rfc5322(*recipient.will_retry_until));
    }
}

std::string status_fields(const Report& report) {
    std::string out;
    if (!report.envelope_id.empty()) {
        append_field(out, "Original-Envelope-Id", printable(report.envelope_id));
    }
    append_field(out, "Reporting-MTA", cat("dns; ", printable(report.hostname)));
    if (report.arrival) append_field(out, "Arrival-Date", format_rfc5322(*report.arrival));
    for (const auto& recipient : report.recipients)
        append_recipient(out, recipient, report.utf8);
    return out;
}

void append_status_part(std::string& out, const Report& report, std::string_view status) {
    append_field(out, "Content-Description", "Delivery report");
    append_field(out, "Content-Type",
                 report.utf8 ? "message/global-delivery-status" : "message/delivery-status");
    if (!is_ascii(status)) append_field(out, "Content-Transfer-Encoding", "8bit");
    out.append("\r\n").append(status);
}

struct Returned {
    std::string bytes;
    bool whole = false;
    bool utf8_header = false;
};

Returned returned_content(const Report& report, const MessageView& original) {
    Returned returned{header_text(original), false, false};
    returned.utf8_header = !is_ascii(returned.bytes);
    if (returned.bytes.size() > limits::bounce_full_message_bytes) {
        returned.bytes.resize(limits::bounce_full_message_bytes);
        returned.bytes.resize(returned.bytes.rfind('\n') + 1);
    }
    returned.whole = report.include_message && original.size() <= limits::bounce_full_message_bytes;
    if (returned.whole) returned.bytes = original.copy({0, original.size()});
    return returned;
}

void append_returned_part(std::string& out, const Report& report, const Returned& returned) {
    const bool global = report.utf8 && returned.utf8_header; // RFC 6533 6
    const std::string_view whole_type = global ? "message/global" : "message/rfc822";
    const std::string_view header_type = global ? "message/global-headers" : "text/rfc822-headers";
    append_field(out, "Content-Description",
                 returned.whole ? "Undelivered message" : "Header of the undelivered message");
    append_field(out, "Content-Type", returned.whole ? whole_type : header_type);
    if (!is_ascii(returned.bytes)) append_field(out, "Content-Transfer-Encoding", "8bit");
    out.append("\r\n").append(returned.bytes);
}

// The message id of the original, if it has a proper one.
std::string message_id_of(const MessageView& original) {
    const std::string text = header_text(original);
    const std::string id = unfold(Header::parse(text).value("Message-ID"));
    const bool proper = id.size() > 2 && id.size() <= 900 && id.front() == '<' &&
                        id.back() == '>' && is_ascii(id) &&
                        std::none_of(id.begin(), id.end(), is_ctl);
    return proper ? id : "";
}

} // namespace

std::string compose_report(const Report& report, const MessageView& original) {
    const std::string status = status_fields(report);
    const Returned returned = returned_content(report, original);
    const std::string text = text_part(report.text);
    const std::string_view texts[] = {status, returned.bytes, text};
    const std::string boundary = make_boundary(report.id, texts);

    std::string out;
    append_field(out, "Date", format_rfc5322(report.date));
    append_field(out, "From", format_address(report.from_name, report.from_address));
    append_field(out, "To", report.to_address);
    append_text_field(out, "Subject", report.subject);
    append_field(out, "Message-ID", make_message_id(report.id, report.hostname));
    if (const std::string id = message_id_of(original); !id.empty()) {
        append_field(out, "References", id);
    }
    append_field(out, "Auto-Submitted", "auto-replied"); // RFC 3834 5
    append_field(out, "MIME-Version", "1.0");
    append_field(out, "Content-Type",
                 cat("multipart/report; report-type=delivery-status; boundary=\"", boundary, '"'));
    if (!is_ascii(status) || !is_ascii(returned.bytes)) {
        append_field(out, "Content-Transfer-Encoding", "8bit");
    }
    out += cat("\r\n--", boundary, "\r\n", text, "\r\n--", boundary, "\r\n");
    append_status_part(out, report, status);
    out += cat("\r\n--", boundary, "\r\n");
    append_returned_part(out, report, returned);
    out += cat("\r\n--", boundary, "--\r\n");
    return out;
}

} // namespace tambo::mime

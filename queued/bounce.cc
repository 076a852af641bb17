#include "queued/bounce.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/smtp/xtext.h"

#include <algorithm>

namespace tambo::queued {

namespace {

using spool::Recipient;
using spool::Report;

// One line for people. The other side often repeats the address it was given; the sender shall see
// his own.
std::string without_target(const Recipient& recipient) {
    std::string text = recipient.status.text;
    std::replace_if(text.begin(), text.end(), is_ctl, ' ');
    const std::string& target = recipient.address;
    if (target.empty() || iequals(target, recipient.original)) return text;
    size_t from = 0;
    for (;;) {
        const size_t at = ifind(std::string_view(text).substr(from), target);
        if (at == std::string_view::npos) return text;
        text.replace(from + at, target.size(), recipient.original);
        from += at + recipient.original.size();
    }
}

// RFC 3463 3.5: what was temporary until the end has expired.
std::string status_code(const Recipient& recipient, Report kind) {
    const spool::Status& status = recipient.status;
    if (kind == Report::delay) return status.enhanced.empty() ? "4.0.0" : status.enhanced;
    if (status.code < 500) return "4.4.7";
    return status.enhanced.starts_with('5') ? status.enhanced : "5.0.0";
}

std::string reply_text(const Recipient& recipient) {
    const spool::Status& status = recipient.status;
    std::string text = cat(status.code, ' ');
    if (!status.enhanced.empty()) text += cat(status.enhanced, ' ');
    return text + without_target(recipient);
}

std::string reason_line(const Recipient& recipient) {
    const spool::Status& status = recipient.status;
    if (!status.from_peer) return without_target(recipient);
    const std::string host = status.host.empty() ? "the other server" : status.host;
    return cat(host, " said: ", reply_text(recipient));
}

mime::ReportRecipient report_recipient(const Recipient& recipient, const BounceFacts& facts) {
    mime::ReportRecipient out;
    out.address = recipient.original;
    out.original_recipient = smtp::xtext_decode(recipient.orcpt).value_or("");
    const bool delay = facts.kind == Report::delay;
    out.action = delay ? mime::ReportAction::delayed : mime::ReportAction::failed;
    out.status = status_code(recipient, facts.kind);
    if (recipient.status.from_peer) {
        out.remote_mta = recipient.status.host;
        out.diagnostic = reply_text(recipient);
    }
    if (recipient.last_attempt.ms > 0) out.last_attempt = recipient.last_attempt;
    if (delay) out.will_retry_until = facts.gives_up;
    return out;
}

std::string_view subject_of(Report kind) {
    switch (kind) {
    case Report::delay:
        return "Your message is delayed";
    case Report::postmaster:
        return "A report could not be returned to its sender";
    case Report::none:
    case Report::failure:
        break;
    }
    return "Your message could not be delivered";
}

std::string opening(const BounceFacts& facts, const spool::Envelope& envelope) {
    const std::string accepted = format_rfc5322(envelope.accepted);
    switch (facts.kind) {
    case Report::delay:
        return cat("The message that you sent on ", accepted,
                   "\nhas not reached these recipients yet. You need not do anything: it is tried"
                   "\nagain until ",
                   format_rfc5322(facts.gives_up), ".\n");
    case Report::postmaster:
        return "A message could not be delivered, and neither could the report about it be\n"
               "returned to its sender. This is the last attempt to tell anybody.\n";
    case Report::none:
    case Report::failure:
        break;
    }
    return cat("The message that you sent on ", accepted,
               "\ncould not be delivered to these recipients. It is not tried again.\n");
}

} // namespace

mime::Report make_report(const BounceFacts& facts,
                         const spool::Envelope& envelope,
                         const std::vector<Recipient>& recipients) {
    mime::Report report;
    report.id = facts.id;
    report.date = facts.now;
    report.hostname = facts.hostname;
    report.from_name = "Mail delivery";
    report.from_address = cat("MAILER-DAEMON@", facts.hostname);
    report.to_address = facts.to;
    report.subject = subject_of(facts.kind);
    report.text =
        cat("This is the mail server ", facts.hostname, ".\n\n", opening(facts, envelope));
    for (const Recipient& recipient : recipients) {
        report.text += cat("\n  <", recipient.original, ">\n    ", reason_line(recipient), '\n');
        report.recipients.push_back(report_recipient(recipient, facts));
        if (!is_ascii(recipient.original)) report.utf8 = true;
    }
    report.text += cat("\nThe queue id of the message is ", envelope.qid.text(), ".\n");
    report.envelope_id = smtp::xtext_decode(envelope.envid).value_or("");
    report.arrival = envelope.accepted;
    // A notice that nothing happened yet need not return anything.
    report.include_message = facts.kind != Report::delay && envelope.ret != "HDRS" &&
                             envelope.length <= limits::bounce_full_message_bytes;
    // RFC 6533 4: who sent with SMTPUTF8 takes reports in it.
    report.utf8 = envelope.smtputf8 && (report.utf8 || !is_ascii(facts.to));
    return report;
}

bool wants_report(std::string_view notify, Report kind) {
    if (notify.empty()) return true; // RFC 3461 5.2.1: failures, and delays if we like
    for (const auto word : split(notify, ',')) {
        if (iequals(word, "FAILURE") && kind == Report::failure) return true;
        if (iequals(word, "DELAY") && kind == Report::delay) return true;
    }
    return false;
}

} // namespace tambo::queued

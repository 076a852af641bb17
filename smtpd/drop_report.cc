#include "smtpd/drop_report.h"

#include "common/base/text.h"
#include "common/mime/report.h"

namespace tambo::smtpd {

namespace {

std::string text_of(const smtp::ServerReply& reply) {
    std::string text = cat(reply.code, ' ');
    if (!reply.enhanced.empty()) text += cat(reply.enhanced, ' ');
    return text + reply.text();
}

} // namespace

std::string compose_drop_report(const DropReport& drop) {
    mime::Report report;
    report.id = drop.id;
    report.date = drop.now;
    report.hostname = drop.hostname;
    report.from_name = "Mail delivery";
    report.from_address = cat("MAILER-DAEMON@", drop.hostname);
    report.to_address = drop.to;
    report.subject = "Your message was not sent";
    report.text =
        cat("This is the mail server ", drop.hostname,
            ".\n\nA program of yours left a message with sendmail while the server was not"
            "\nrunning. Now that it runs, it cannot take the message for these recipients:\n");
    for (const DropRefusal& refusal : drop.refused) {
        report.text += cat("\n  <", refusal.recipient, ">\n    ", text_of(refusal.reply), '\n');
        mime::ReportRecipient recipient;
        recipient.address = refusal.recipient;
        recipient.status = refusal.reply.enhanced.empty() ? "5.0.0" : refusal.reply.enhanced;
        recipient.diagnostic = text_of(refusal.reply);
        recipient.last_attempt = drop.now;
        report.recipients.push_back(std::move(recipient));
    }
    report.text += drop.others_took_it ? "\nThe other recipients get it.\n"
                                       : "\nNobody gets it. It is not tried again.\n";
    if (!drop.whole && !drop.others_took_it) {
        report.text += "The message is too large to be returned here; the administrator of the\n"
                       "machine finds it in drop-refused/.\n";
    }
    report.include_message = drop.whole;
    return mime::compose_report(report, mime::MessageView(drop.message));
}

} // namespace tambo::smtpd

#include "common/mime/report.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/mime/imap_text.h"
#include "common/mime/lexer.h"
#include "common/mime/section.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::mime;

namespace {

Report sample() {
    Report report;
    report.id = Id::make(1, 2, 3, 4);
    report.date = UtcTime{1'795'497'616'000};
    report.hostname = "mx.example";
    report.from_name = "Mail System";
    report.from_address = "postmaster@mx.example";
    report.to_address = "alice@example.test";
    report.subject = "Undelivered mail";
    report.text = "Your message could not be delivered.\n";
    report.envelope_id = "QQ314159";
    report.arrival = UtcTime{1'795'490'000'000};
    ReportRecipient recipient;
    recipient.address = "bob@remote.test";
    recipient.original_recipient = "rfc822;bob@alias.test";
    recipient.status = "5.1.1";
    recipient.remote_mta = "mx.remote.test";
    recipient.diagnostic = "550 5.1.1 no such user\r\nAction: delivered\r\n";
    recipient.last_attempt = UtcTime{1'795'497'000'000};
    report.recipients.push_back(recipient);
    return report;
}

std::string part(const std::string& message, std::string_view section) {
    const MessageView view(message);
    const auto found = find_section(view, parse_structure(view), *parse_section(section));
    return found.exists ? view.copy(found.range) : "NIL";
}

const std::string kOriginal = "Subject: hi\r\nMessage-ID: <orig@example.test>\r\n\r\nbody text\r\n";

} // namespace

TEST_CASE("a bounce is a multipart/report of three parts") {
    const std::string message = compose_report(sample(), MessageView("Received: x\r\n", kOriginal));
    CHECK(is_ascii(message));
    const Header header = Header::parse(message);
    CHECK(unfold(header.value("Auto-Submitted")) == "auto-replied");
    CHECK(unfold(header.value("References")) == "<orig@example.test>");
    CHECK(unfold(header.value("Date")) == "Tue, 24 Nov 2026 05:20:16 +0000");
    CHECK(unfold(header.value("From")) == "Mail System <postmaster@mx.example>");
    const auto type = parse_content_type(header.value("Content-Type"));
    CHECK(type.is("multipart", "report"));
    CHECK(type.find("report-type")->value == "delivery-status");
    const Structure structure = parse_structure(MessageView(message));
    REQUIRE(structure.parts.size() == 4);
    CHECK(structure.ambiguity == 0);
    CHECK(structure.parts[2].is("message", "delivery-status"));
    CHECK(structure.parts[3].is("text", "rfc822-headers"));
    CHECK(part(message, "1") == "Your message could not be delivered.\r\n");
    CHECK(part(message, "2") ==
          "Original-Envelope-Id: QQ314159\r\n"
          "Reporting-MTA: dns; mx.example\r\n"
          "Arrival-Date: Tue, 24 Nov 2026 03:13:20 +0000\r\n\r\n"
          "Original-Recipient: rfc822;bob@alias.test\r\n"
          "Final-Recipient: rfc822; bob@remote.test\r\n"
          "Action: failed\r\nStatus: 5.1.1\r\n"
          "Remote-MTA: dns; mx.remote.test\r\n"
          "Diagnostic-Code: smtp; 550 5.1.1 no such user  Action: delivered\r\n"
          "Last-Attempt-Date: Tue, 24 Nov 2026 05:10:00 +0000\r\n");
    CHECK(part(message, "3") ==
          "Received: x\r\nSubject: hi\r\nMessage-ID: <orig@example.test>\r\n\r\n");
    for (const auto line : split(message, '\n'))
        CHECK(line.size() <= 999);
}

TEST_CASE("a small message is returned whole, a big one by its header") {
    Report report = sample();
    report.include_message = true;
    const std::string whole = compose_report(report, MessageView("Received: x\r\n", kOriginal));
    CHECK(part(whole, "3") == "Received: x\r\n" + kOriginal);
    CHECK(part(whole, "3.TEXT") == "body text\r\n");
    const std::string big = kOriginal + std::string(limits::bounce_full_message_bytes, 'x');
    CHECK(part(compose_report(report, MessageView(big)), "3") ==
          kOriginal.substr(0, kOriginal.find("body")));
    std::string huge_header;
    for (int i = 0; i < 5000; ++i)
        huge_header += cat("X-", i, ": ", std::string(100, 'x'), "\r\n");
    const std::string cut = compose_report(report, MessageView(huge_header + "\r\nbody"));
    CHECK(cut.size() < 2 * limits::bounce_full_message_bytes);
    CHECK(parse_structure(MessageView(cut)).parts.size() == 4);
}

TEST_CASE("groups of recipients, delays, several recipients") {
    Report report = sample();
    report.recipients[0].action = ReportAction::delayed;
    report.recipients[0].will_retry_until = UtcTime{1'795'900'000'000};
    report.recipients.push_back({"c@d", "", ReportAction::relayed, "2.0.0", "", "", {}, {}});
    const std::string status = part(compose_report(report, MessageView(kOriginal)), "2");
    CHECK(status.find("Action: delayed\r\n") != std::string::npos);
    CHECK(status.find("Will-Retry-Until: Sat, 28 Nov 2026") != std::string::npos);
    CHECK(status.ends_with(
        "\r\n\r\nFinal-Recipient: rfc822; c@d\r\nAction: relayed\r\nStatus: 2.0.0\r\n"));
}

TEST_CASE("I2: a remote's reply cannot add fields, lines or bytes") {
    Report report = sample();
    report.recipients[0].diagnostic =
        "550-x\r\n\r\nFinal-Recipient: rfc822; evil@x\n\x1b[31m\xff" + std::string(100'000, 'y');
    report.recipients[0].remote_mta = "a\r\nAction: delivered";
    const std::string message = compose_report(report, MessageView(kOriginal));
    CHECK(is_ascii(message));
    CHECK(message.find('\x1b') == std::string::npos);
    for (const auto line : split(message, '\n'))
        CHECK(line.size() <= 999);
    const std::string status = part(message, "2");
    CHECK(status.size() < 8192);
    const auto group = std::string_view(status).substr(status.find("\r\n\r\n") + 4);
    const Header recipient = Header::parse(group);
    CHECK(recipient.count("Final-Recipient") == 1);
    CHECK(recipient.count("Action") == 1);
    CHECK(recipient.fields().size() == 7);
}

TEST_CASE("an original that contains the boundary, or has 8-bit bytes") {
    Report report = sample();
    report.include_message = true;
    const std::string first = compose_report(report, MessageView(kOriginal));
    const std::string nested = compose_report(report, MessageView(first));
    CHECK(part(nested, "3") == first);
    const std::string eight = "Subject: caf\xc3\xa9\r\n\r\ncaf\xc3\xa9\r\n";
    const std::string message = compose_report(report, MessageView(eight));
    CHECK(unfold(Header::parse(message).value("Content-Transfer-Encoding")) == "8bit");
    CHECK(part(message, "3") == eight);
    CHECK(parse_structure(MessageView(message)).parts[3].is("message", "rfc822"));
}

TEST_CASE("RFC 6533: reports about UTF-8 addresses") {
    Report report = sample();
    report.include_message = true;
    report.recipients[0].address = "j\xc3\xb6+rg@b\xc3\xbc"
                                   "cher.example";
    const std::string eight = "Subject: caf\xc3\xa9\r\n\r\nx\r\n";
    const std::string ascii = compose_report(report, MessageView(kOriginal));
    CHECK(is_ascii(ascii));
    CHECK(part(ascii, "2")
              .find("Final-Recipient: utf-8; j\\x{F6}\\x{2B}rg@b\\x{FC}cher.example\r\n") !=
          std::string::npos);
    report.utf8 = true;
    const std::string utf8 = compose_report(report, MessageView(eight));
    const Structure structure = parse_structure(MessageView(utf8));
    CHECK(structure.parts[2].is("message", "global-delivery-status"));
    CHECK(structure.parts[3].is("message", "global"));
    CHECK(part(utf8, "2").find("Final-Recipient: utf-8; j\xc3\xb6+rg@b\xc3\xbc"
                               "cher.example\r\n") != std::string::npos);
}

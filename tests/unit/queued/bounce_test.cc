#include "queued/bounce.h"

#include "common/base/text.h"
#include "common/mime/header.h"
#include "common/mime/structure.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::queued;
using spool::Report;

namespace {

const std::string kOriginal = "From: Alice <alice@home.test>\r\nSubject: hi\r\n"
                              "Message-ID: <m@home.test>\r\n\r\nbody\r\n";

spool::Envelope envelope() {
    spool::Envelope e;
    e.qid = Id{1, 2};
    e.reverse_path = "alice@home.test";
    e.accepted = UtcTime{1'800'000'000'000};
    e.length = kOriginal.size();
    return e;
}

spool::Recipient refused(const std::string& original, const std::string& address) {
    spool::Recipient r;
    r.original = original;
    r.address = address;
    r.attempts = 1;
    r.last_attempt = UtcTime{1'800'000'060'000};
    r.status = {550, "5.1.1", "no such user", "mx.away.test", true};
    return r;
}

BounceFacts facts(Report kind) {
    BounceFacts f;
    f.kind = kind;
    f.id = Id{3, 4};
    f.now = UtcTime{1'800'000'100'000};
    f.gives_up = UtcTime{1'800'432'000'000};
    f.hostname = "mx.home.test";
    f.to = "alice@home.test";
    return f;
}

std::string part(const std::string& message, const mime::Structure& structure, size_t number) {
    const auto& range = structure.parts.at(number).body;
    return message.substr(range.begin, range.size());
}

} // namespace

TEST_CASE("a failure report is read back as what it is") {
    const auto report = make_report(facts(Report::failure), envelope(),
                                    {refused("bob@away.test", "bob@away.test")});
    const std::string text = mime::compose_report(report, mime::MessageView(kOriginal));
    const auto header = mime::Header::parse(text);
    CHECK(trim(header.value("From")) == "Mail delivery <MAILER-DAEMON@mx.home.test>");
    CHECK(trim(header.value("To")) == "alice@home.test");
    CHECK(trim(header.value("Subject")) == "Your message could not be delivered");
    CHECK(trim(header.value("References")) == "<m@home.test>");
    const mime::MessageView view(text);
    const auto structure = mime::parse_structure(view);
    REQUIRE(structure.parts.size() >= 4);
    const std::string human = part(text, structure, 1), status = part(text, structure, 2);
    CHECK(human.find("  <bob@away.test>\r\n    mx.away.test said: 550 5.1.1 no such user") !=
          std::string::npos);
    CHECK(human.find(Id{1, 2}.text()) != std::string::npos);
    CHECK(status == "Reporting-MTA: dns; mx.home.test\r\n"
                    "Arrival-Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n\r\n"
                    "Final-Recipient: rfc822; bob@away.test\r\n"
                    "Action: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.away.test\r\n"
                    "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
                    "Last-Attempt-Date: Fri, 15 Jan 2027 08:01:00 +0000\r\n");
    CHECK(text.find(kOriginal) != std::string::npos);
}

TEST_CASE("what a remote says cannot break the report") {
    spool::Recipient bad = refused("bob@away.test", "bob@away.test");
    bad.status.text = "evil\r\nFinal-Recipient: rfc822; victim@x\r\n\r\n--boundary\x01\xff";
    const auto report = make_report(facts(Report::failure), envelope(), {bad});
    const std::string text = mime::compose_report(report, mime::MessageView(kOriginal));
    CHECK(text.find("\r\nFinal-Recipient: rfc822; victim@x") == std::string::npos);
    const auto structure = mime::parse_structure(mime::MessageView(text));
    CHECK(structure.parts.size() >= 4);
}

TEST_CASE("a refusal without words of the other side has no diagnostic code") {
    spool::Recipient ours = refused("bob@away.test", "bob@away.test");
    ours.status = {556, "5.1.10", "the domain takes no mail", "", false};
    const auto report = make_report(facts(Report::failure), envelope(), {ours});
    CHECK(report.recipients[0].status == "5.1.10");
    CHECK(report.recipients[0].diagnostic.empty());
    CHECK(report.recipients[0].remote_mta.empty());
    CHECK(report.text.find("    the domain takes no mail\n") != std::string::npos);
}

TEST_CASE("what was temporary until the end has expired") {
    spool::Recipient late = refused("bob@away.test", "bob@away.test");
    late.status = {451, "4.2.2", "full", "mx.away.test", true};
    const auto failed = make_report(facts(Report::failure), envelope(), {late});
    CHECK(failed.recipients[0].status == "4.4.7");
    CHECK(failed.recipients[0].diagnostic == "451 4.2.2 full");
    const auto delayed = make_report(facts(Report::delay), envelope(), {late});
    CHECK(delayed.recipients[0].status == "4.2.2");
    CHECK(delayed.recipients[0].action == mime::ReportAction::delayed);
    CHECK(delayed.recipients[0].will_retry_until == UtcTime{1'800'432'000'000});
    CHECK_FALSE(delayed.include_message);
}

TEST_CASE("the whole message is returned if it is small and wanted") {
    spool::Envelope e = envelope();
    const auto recipient = refused("bob@away.test", "bob@away.test");
    CHECK(make_report(facts(Report::failure), e, {recipient}).include_message);
    e.ret = "HDRS";
    CHECK_FALSE(make_report(facts(Report::failure), e, {recipient}).include_message);
    e.ret = "";
    e.length = 51 * 1024;
    CHECK_FALSE(make_report(facts(Report::failure), e, {recipient}).include_message);
}

TEST_CASE("the sender's own words for message and recipient come back") {
    spool::Envelope e = envelope();
    e.envid = "order+2B7";
    spool::Recipient r = refused("bob@away.test", "bob@away.test");
    r.orcpt = "rfc822;Bob+2Btag@away.test";
    const auto report = make_report(facts(Report::failure), e, {r});
    CHECK(report.envelope_id == "order+7");
    CHECK(report.recipients[0].original_recipient == "rfc822;Bob+tag@away.test");
}

TEST_CASE("UTF-8 reports go to senders who used it") {
    spool::Envelope e = envelope();
    const auto recipient = refused("bob@b\xc3\xbc"
                                   "cher.test",
                                   "bob@b\xc3\xbc"
                                   "cher.test");
    CHECK_FALSE(make_report(facts(Report::failure), e, {recipient}).utf8);
    e.smtputf8 = true;
    CHECK(make_report(facts(Report::failure), e, {recipient}).utf8);
}

TEST_CASE("NOTIFY decides who hears of what") {
    CHECK(wants_report("", Report::failure));
    CHECK(wants_report("", Report::delay));
    CHECK_FALSE(wants_report("NEVER", Report::failure));
    CHECK_FALSE(wants_report("SUCCESS", Report::failure));
    CHECK(wants_report("SUCCESS,FAILURE", Report::failure));
    CHECK_FALSE(wants_report("FAILURE", Report::delay));
    CHECK(wants_report("failure,delay", Report::delay));
}

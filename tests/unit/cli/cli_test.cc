#include "cli/output.h"
#include "cli/password.h"
#include "cli/quickstart.h"
#include "cli/sendmail.h"

#include "common/base/text.h"

#include <catch2/catch.hpp>

#include <set>

using namespace tambo;
using namespace tambo::cli;

namespace {

std::optional<Submission> prepared(SendmailOptions options, std::string_view input) {
    std::string error;
    return prepare(options, input, "root@mail.example.test", UtcTime{0}, error);
}

} // namespace

TEST_CASE("sendmail's options as programs write them") {
    std::string error;
    const auto cron = parse_sendmail_options({"-FCronDaemon", "-i", "-B8BITMIME", "-oem", "root"},
                                             error);
    REQUIRE(cron);
    CHECK(cron->full_name == "CronDaemon");
    CHECK(cron->ignore_dots);
    CHECK(cron->recipients == std::vector<std::string>{"root"});
    const auto mutt = parse_sendmail_options(
        {"-oi", "-f", "alice@example.test", "--", "bob@example.test", "-x@example.test"}, error);
    REQUIRE(mutt);
    CHECK(mutt->sender == "alice@example.test");
    CHECK(mutt->recipients.size() == 2);
    CHECK(parse_sendmail_options({"-ti"}, error)->recipients_from_header);
    CHECK(parse_sendmail_options({"-f", "<>", "x"}, error)->null_sender);
    CHECK(parse_sendmail_options({"-bp"}, error)->list_queue);
    CHECK_FALSE(parse_sendmail_options({"-f"}, error));
    CHECK_FALSE(parse_sendmail_options({"-bd"}, error));
}

TEST_CASE("the header names the recipients and keeps no Bcc") {
    SendmailOptions options;
    options.recipients_from_header = true;
    const auto s = prepared(options, "To: \"B, C\" <bob@example.test>, root\n"
                                     "Bcc: eve@example.test,\n mallory@example.test\n"
                                     "Subject: x\n\nbody\n.\nmore\n");
    REQUIRE(s);
    CHECK(s->recipients == std::vector<std::string>{"bob@example.test", "root@mail.example.test",
                                                    "eve@example.test", "mallory@example.test"});
    CHECK(s->message.find("eve") == std::string::npos);
    CHECK(s->message.find("mallory") == std::string::npos);
    CHECK(s->message.find("From: root@mail.example.test\r\n") == 0);
    CHECK(s->message.find("\r\n\r\nbody\r\n") != std::string::npos);
    CHECK(s->message.find("more") == std::string::npos);
}

TEST_CASE("the script is a whole dialogue with stuffed dots") {
    SendmailOptions options;
    options.ignore_dots = true;
    options.sender = "alice@example.test";
    options.recipients = {"bob@example.test"};
    const auto s = prepared(options, "Subject: x\nDate: y\nFrom: a@b\n\n.\r\n..x\nend");
    REQUIRE(s);
    CHECK(smtp_script(*s, "h") == "EHLO h\r\nMAIL FROM:<alice@example.test>\r\n"
                                  "RCPT TO:<bob@example.test>\r\nDATA\r\n"
                                  "Subject: x\r\nDate: y\r\nFrom: a@b\r\n\r\n"
                                  "..\r\n...x\r\nend\r\n.\r\nQUIT\r\n");
    CHECK_FALSE(prepared(SendmailOptions(), "x"));
}

TEST_CASE("answers render as table, lines and JSON without raw control characters") {
    ipc::AdminAnswer answer;
    answer.columns = {"name", "quota_bytes"};
    answer.rows = {{"a\tb\x1b", "12"}, {"long name", "007"}};
    CHECK(render(answer, Format::tsv) == "a\\x09b\\x1b\t12\nlong name\t007\n");
    CHECK(render(answer, Format::table) ==
          "NAME        QUOTA BYTES\na\\x09b\\x1b  12\nlong name   007\n");
    CHECK(render(answer, Format::json) == "{\"name\":\"a\\tb\\u001b\",\"quota_bytes\":12}\n"
                                          "{\"name\":\"long name\",\"quota_bytes\":\"007\"}\n");
    answer.rows = {{"reply=\"550 no\\x0a\" c\xff", "1"}};
    CHECK(render(answer, Format::tsv) == "reply=\"550 no\\x0a\" c\\xff\t1\n");
    answer.rows.clear();
    for (const auto format : {Format::tsv, Format::table, Format::json})
        CHECK(render(answer, format) == "");
}

TEST_CASE("made-up passwords differ and are long") {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) seen.insert(generate_password());
    CHECK(seen.size() == 100);
    for (const auto& password : seen) CHECK(password.size() >= 20);
}

TEST_CASE("the zone has what mail needs") {
    const auto records = dns_records("example.test", "mail.example.test", {"192.0.2.1"});
    std::string all;
    for (const auto& r : records) all += cat(r.name, ' ', r.type, ' ', r.value, '\n');
    CHECK(all.find("mail.example.test A 192.0.2.1\n") == 0);
    CHECK(all.find("example.test MX 10 mail.example.test\n") != std::string::npos);
    CHECK(all.find("example.test TXT v=spf1 mx ~all\n") != std::string::npos);
}

// 8-bit content and international addresses (RFC 6152, RFC 6531) towards servers that take them and
// servers that do not.
#include "tests/unit/relayd/relay_fixture.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::test;

namespace {

const std::string kText = "Gr\xC3\xBC\xC3\x9F"
                          "e\r\n";
const std::string kEightBit = "From: <alice@we.test>\r\nMIME-Version: 1.0\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Content-Transfer-Encoding: 8bit\r\n\r\n" +
                              kText;
const std::string kUtf8Header = "From: <alice@we.test>\r\nMIME-Version: 1.0\r\n"
                                "Subject: Gr\xC3\xBC\xC3\x9F"
                                "e\r\n\r\nplain\r\n";

Behaviour offering(const std::string& extensions) {
    Behaviour behaviour;
    behaviour.replies["EHLO"] = {"250-mx.test\r\n" + extensions + "250 HELP\r\n"};
    return behaviour;
}
const std::string kAll = "250-8BITMIME\r\n250-SMTPUTF8\r\n250-SIZE\r\n";
const std::string kEightOnly = "250-8BITMIME\r\n250-SIZE\r\n";
const std::string kNothing = "250-SIZE\r\n";

ipc::Relay job(const std::string& content,
               bool smtputf8 = false,
               const std::string& recipient = "bob@d.test") {
    auto made = Relaying::job(content, {recipient});
    made.parameters.body = ipc::BodyType::eightbitmime;
    made.parameters.smtputf8 = smtputf8;
    return made;
}

struct Outcome {
    std::string result, mail, rcpt, content;
};

Outcome relay(const std::string& extensions, ipc::Relay what) {
    Relaying r;
    auto& server = r.serve(offering(extensions));
    Outcome outcome;
    outcome.result = summary(r.relay(std::move(what)));
    const auto& visit = *server.visits.at(0);
    outcome.content = visit.content;
    for (const auto& command : visit.commands) {
        if (command.starts_with("MAIL")) outcome.mail = command;
        if (command.starts_with("RCPT")) outcome.rcpt = command;
    }
    return outcome;
}

bool is_7bit(const std::string& text) {
    for (const char c : text) {
        if (static_cast<unsigned char>(c) >= 0x80) return false;
    }
    return true;
}

} // namespace

TEST_CASE("8-bit content goes as it is where 8BITMIME is offered") {
    const auto out = relay(kEightOnly, job(kEightBit));
    CHECK(out.result == "sent 250 2.0.0");
    CHECK(out.mail.ends_with(" BODY=8BITMIME"));
    CHECK(out.content == "Received: from here\r\n" + kEightBit + ".\r\n");
    // Declared or not: what is 8-bit is said to be.
    auto undeclared = job(kEightBit);
    undeclared.parameters.body = ipc::BodyType::sevenbit;
    CHECK(relay(kEightOnly, std::move(undeclared)).mail.ends_with(" BODY=8BITMIME"));
    auto plain = job(kHeader + "x\r\n");
    plain.parameters.body = ipc::BodyType::sevenbit;
    CHECK(relay(kEightOnly, std::move(plain)).mail.find("BODY") == std::string::npos);
}

TEST_CASE("8-bit content becomes quoted-printable where 8BITMIME is missing, with its true size") {
    const auto out = relay(kNothing, job(kEightBit));
    CHECK(out.result == "sent 250 2.0.0");
    CHECK(is_7bit(out.content));
    CHECK(out.content.find("Content-Transfer-Encoding: quoted-printable\r\n") != std::string::npos);
    CHECK(out.content.find("Gr=C3=BC=C3=9Fe\r\n") != std::string::npos);
    const auto size = std::to_string(out.content.size() - 3); // without the final dot
    CHECK(out.mail == "MAIL FROM:<alice@we.test> SIZE=" + size);
}

TEST_CASE("what cannot be converted goes back with 5.6.3") {
    const std::string signed_mail =
        "From: <alice@we.test>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/signed; boundary=b; protocol=x/y; micalg=z\r\n\r\n--b\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n\r\n" +
        kText + "--b\r\nContent-Type: x/y\r\n\r\nsig\r\n--b--\r\n";
    const auto out = relay(kNothing, job(signed_mail));
    CHECK(out.result == "refused 554 5.6.3");
    CHECK(out.mail.empty());
}

TEST_CASE("SMTPUTF8 is said where it is needed and offered") {
    const auto header = relay(kAll, job(kUtf8Header, true));
    CHECK(header.result == "sent 250 2.0.0");
    CHECK(header.mail.ends_with(" BODY=8BITMIME SMTPUTF8"));
    const auto address = relay(kAll, job(kHeader, false,
                                         "b\xC3\xB6"
                                         "b@d.test"));
    CHECK(address.mail.ends_with(" SMTPUTF8"));
    CHECK(address.rcpt == "RCPT TO:<b\xC3\xB6"
                          "b@d.test>");
    CHECK(relay(kAll, job(kHeader)).mail.find("SMTPUTF8") == std::string::npos);
}

TEST_CASE("without SMTPUTF8: domains become A-labels, headers encoded words") {
    const auto domain = relay(kEightOnly, job(kHeader, true,
                                              "bob@b\xC3\xBC"
                                              "cher.test"));
    CHECK(domain.result == "sent 250 2.0.0");
    CHECK(domain.rcpt == "RCPT TO:<bob@xn--bcher-kva.test>");
    CHECK(domain.mail.find("SMTPUTF8") == std::string::npos);
    const auto header = relay(kEightOnly, job(kUtf8Header, true));
    CHECK(header.result == "sent 250 2.0.0");
    CHECK(is_7bit(header.content));
    CHECK(header.content.find("Subject: =?") != std::string::npos);
}

TEST_CASE("without SMTPUTF8: what is international goes back with 5.6.7") {
    CHECK(relay(kEightOnly, job(kHeader, true,
                                "b\xC3\xB6"
                                "b@d.test"))
              .result == "refused 553 5.6.7");
    auto sender = job(kHeader, true);
    sender.reverse_path = "\xC3\xA4@we.test";
    CHECK(relay(kEightOnly, std::move(sender)).result == "refused 553 5.6.7");
    // An address in the header has no ASCII form.
    const std::string from = "From: <\xC3\xA4@we.test>\r\n\r\nx\r\n";
    CHECK(relay(kEightOnly, job(from, true)).result == "refused 553 5.6.7");
    CHECK(relay(kAll, job(from, true)).result == "sent 250 2.0.0");
}

TEST_CASE("one international recipient among others is refused alone") {
    Relaying r;
    r.serve(offering(kEightOnly));
    auto mixed = Relaying::job(kHeader, {"a@d.test", "\xC3\xB6@d.test"});
    CHECK(summary(r.relay(std::move(mixed))) == "sent 250 2.0.0, refused 553 5.6.7");
}

TEST_CASE("8-bit headers that came without SMTPUTF8 stay as they are where 8BITMIME is offered") {
    const auto out = relay(kEightOnly, job(kUtf8Header));
    CHECK(out.result == "sent 250 2.0.0");
    CHECK(out.content.find("Subject: Gr\xC3\xBC") != std::string::npos);
    const auto seven = relay(kNothing, job(kUtf8Header));
    CHECK(seven.result == "sent 250 2.0.0");
    CHECK(is_7bit(seven.content));
}

TEST_CASE("what a message is, found in one reading") {
    const auto facts_of = [](const std::string& prefix, const std::string& body) {
        const auto made = Relaying::job(body);
        return relayd::Content(prefix, made.body.get(), body.size()).inspect();
    };
    CHECK_FALSE(facts_of("", kHeader + "x\r\n").header_8bit);
    CHECK(facts_of("", kEightBit).body_8bit);
    CHECK_FALSE(facts_of("", kEightBit).header_8bit);
    CHECK(facts_of("", kUtf8Header).header_8bit);
    CHECK_FALSE(facts_of("", kUtf8Header).body_8bit);
    CHECK(facts_of("X: \xC3\xBC\r\n", kHeader).header_8bit);
    CHECK(facts_of("", "\r\n" + kText).body_8bit);
    CHECK_FALSE(facts_of("", "\r\n" + kText).header_8bit);
    CHECK(facts_of("", "").clean);
    // The header may end anywhere in a piece, or where two meet.
    for (size_t size = 65'530; size < 65'545; ++size) {
        std::string header = "X: ";
        while (header.size() + 102 < size)
            header += std::string(98, 'x') + "\r\n y";
        header += std::string(size - header.size(), 'z');
        const auto body = facts_of("", header + "\r\n\r\n" + kText);
        CHECK((body.body_8bit && !body.header_8bit));
        const auto head = facts_of("", header + "\xC3\xBC\r\n\r\nx\r\n");
        CHECK((!head.body_8bit && head.header_8bit));
    }
}

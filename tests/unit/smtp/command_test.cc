#include "common/smtp/command.h"

#include "common/smtp/reply_texts.h"
#include "common/smtp/xtext.h"

#include <catch2/catch.hpp>

using namespace tambo::smtp;
using namespace std::literals;

namespace {

ExtensionSet submission() {
    return announced({true, true, true});
}

ExtensionSet with_dsn() {
    auto set = submission();
    set.add(Extension::dsn);
    return set;
}

int mail_code(std::string_view arguments, ExtensionSet set = submission()) {
    const auto mail = parse_mail(arguments, set);
    return mail ? 250 : mail.error().code;
}

std::string_view mail_enhanced(std::string_view arguments) {
    const auto mail = parse_mail(arguments, submission());
    return mail ? "" : mail.error().enhanced;
}

std::string rcpt_code(std::string_view arguments, bool smtputf8 = false) {
    const auto rcpt = parse_rcpt(arguments, submission(), smtputf8);
    if (rcpt) return rcpt->forward_path.text();
    return std::to_string(rcpt.error().code) + " " + std::string(rcpt.error().enhanced);
}

} // namespace

TEST_CASE("a line is a verb and its arguments") {
    CHECK(split_command("MAIL FROM:<a@b> ").arguments == "FROM:<a@b>");
    CHECK(split_command("MAIL FROM:<a@b> ").verb == "MAIL");
    CHECK(split_command("noop").verb == "noop");
    CHECK(split_command("noop").arguments.empty());
    CHECK(split_command("").verb.empty());
    CHECK(split_command(" x").verb.empty());
    CHECK(split_command("HELP\t \tx y\t").arguments == "x y");
}

TEST_CASE("MAIL with its parameters") {
    const auto mail = parse_mail("from:<Bob@Example.org> Size=1000 BODY=8bitmime SMTPUTF8 "
                                 "AUTH=e+3Dmc2@example.com RET=hdrs ENVID=QQ+2B314159",
                                 with_dsn());
    REQUIRE(mail);
    CHECK(mail->reverse_path.text() == "Bob@Example.org");
    CHECK(mail->size == 1000u);
    CHECK(mail->body == BodyType::eight_bit_mime);
    CHECK(mail->smtputf8);
    CHECK(mail->auth == "e=mc2@example.com");
    CHECK(mail->ret == DsnReturn::headers);
    CHECK(mail->envid == "QQ+2B314159");
    const auto null = parse_mail("FROM:<>", submission());
    REQUIRE(null);
    CHECK(null->reverse_path.is_null());
    CHECK_FALSE(null->size);
    CHECK(mail_code("FROM: <a@b>  SIZE=1\tBODY=7BIT") == 250);
    CHECK(parse_mail("FROM:<a@b> SIZE=99999999999999999999", submission())->size == UINT64_MAX);
    CHECK(mail_code("FROM:<a@b> AUTH=<>") == 250);
}

TEST_CASE("MAIL refuses with the right code") {
    CHECK(mail_code("TO:<a@b>") == 501);
    CHECK(mail_enhanced("<a@b>") == "5.5.4");
    CHECK(mail_enhanced("FROM:a@b") == "5.1.7");
    CHECK(mail_enhanced("FROM:<postmaster>") == "5.1.7");
    CHECK(mail_enhanced("FROM:<@a:b@c>") == "5.1.7");
    CHECK(mail_enhanced("FROM:<;for i in 0;do id>/tmp/p;done;>") == "5.1.7"); // RULES.md I1
    CHECK(mail_enhanced("FROM:<a\0b@x>"sv) == "5.1.7"); // the session sees the NUL first
    CHECK(mail_code("FROM:<a@b> RET=FULL") == 555);
    CHECK(mail_code("FROM:<a@b> FOO") == 555);
    CHECK(mail_code("FROM:<a@b> FOO=BAR") == 555);
    CHECK(mail_code("FROM:<a@b> BODY=BINARYMIME") == 555);
    CHECK(mail_code("FROM:<a@b> AUTH=x", announced({true, false, true})) == 555);
    for (const auto* bad :
         {"FROM:<a@b>SIZE=1", "FROM:<a@b> SIZE", "FROM:<a@b> SIZE=", "FROM:<a@b> SIZE=-1",
          "FROM:<a@b> SIZE=1x", "FROM:<a@b> SIZE=999999999999999999999", "FROM:<a@b> SIZE=1 SIZE=1",
          "FROM:<a@b> SIZE=1=2", "FROM:<a@b> =1", "FROM:<a@b> -A", "FROM:<a@b> BODY",
          "FROM:<a@b> SMTPUTF8=1", "FROM:<a@b> AUTH=a+3d", "FROM:<a@b> AUTH=nobody",
          "FROM:<a@b> <c@d>"}) {
        INFO(bad);
        CHECK(mail_code(bad) == 501);
        CHECK(mail_enhanced(bad) == "5.5.4");
    }
    CHECK(mail_enhanced("FROM:<j\xC3\xBCrgen@x>") == "5.6.7");
    CHECK(mail_enhanced("FROM:<a@b\xC3\xBC"
                        "cher.example>") == "5.6.7");
    CHECK(mail_code("FROM:<j\xC3\xBCrgen@x> SMTPUTF8") == 250);
}

TEST_CASE("RCPT") {
    CHECK(rcpt_code("TO:<a@b>") == "a@b");
    CHECK(rcpt_code("to: <a@b>") == "a@b");
    CHECK(rcpt_code("TO:<Postmaster>") == "Postmaster");
    CHECK(rcpt_code("TO:<${run{/bin/id}}@local.test>") == "${run{/bin/id}}@local.test"); // I1
    CHECK(rcpt_code("TO:<${run{\\x2fbin\\x2fid}}@local.test>") == "501 5.1.3");
    CHECK(rcpt_code("TO:<\"a\nb\"@x>") == "501 5.1.3"); // RULES.md I3
    CHECK(rcpt_code("TO:<>") == "501 5.1.3");
    CHECK(rcpt_code("TO:<@a,@b:x@remote>") == "550 5.7.1"); // RULES.md A9
    CHECK(rcpt_code("TO:<\"x@remote\">") == "501 5.1.3");   // RULES.md A9
    CHECK(rcpt_code("TO:<x%remote@local>") == "x%remote@local");
    CHECK(rcpt_code("TO:<x@[127.0.0.1]>") == "x@[127.0.0.1]");
    CHECK(rcpt_code("TO:<a@b> NOTIFY=NEVER") == "555 5.5.4");
    CHECK(rcpt_code("TO:<\xC3\xBC@b>") == "553 5.6.7");
    CHECK(rcpt_code("TO:<\xC3\xBC@b>", true) == "\xC3\xBC@b");
    CHECK(rcpt_code("FROM:<a@b>") == "501 5.5.4");
}

TEST_CASE("a default domain completes what stands alone") {
    const auto rcpt = parse_rcpt("TO:<root>", submission(), false, "host.example");
    REQUIRE(rcpt);
    CHECK(rcpt->forward_path.text() == "root@host.example");
    CHECK(parse_mail("FROM:<>", submission(), "host.example")->reverse_path.is_null());
    CHECK(parse_mail("FROM:<a@b>", submission(), "h")->reverse_path.text() == "a@b");
    CHECK_FALSE(parse_rcpt("TO:<@a:root>", submission(), false, "host.example"));
}

TEST_CASE("DSN parameters of RCPT are kept for the envelope") {
    const auto rcpt =
        parse_rcpt("TO:<a@b> NOTIFY=success,DELAY ORCPT=rfc822;Bob+2Bx@b", with_dsn(), false);
    REQUIRE(rcpt);
    CHECK(rcpt->notify == (notify::success | notify::delay));
    CHECK(rcpt->orcpt == "rfc822;Bob+2Bx@b");
    CHECK(parse_rcpt("TO:<a@b> ORCPT=utf-8;\xC3\xBC@b", with_dsn(), true));
    for (const auto* bad :
         {"NOTIFY", "NOTIFY=", "NOTIFY=NEVER,DELAY", "NOTIFY=DELAY,DELAY", "NOTIFY=X", "ORCPT=a@b",
          "ORCPT=;a", "ORCPT=rfc822;", "ORCPT=rfc822;a+0A", "NOTIFY=DELAY NOTIFY=DELAY"}) {
        INFO(bad);
        const auto refused = parse_rcpt("TO:<a@b> "s + bad, with_dsn(), false);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == 501);
    }
}

TEST_CASE("EHLO names") {
    using Kind = HelloName::Kind;
    CHECK(parse_hello("mx.Example.org")->kind == Kind::domain);
    CHECK(parse_hello("mx.Example.org")->text == "mx.Example.org");
    CHECK(parse_hello("[192.0.2.1]")->kind == Kind::literal);
    CHECK(parse_hello("[IPv6:::1]")->kind == Kind::literal);
    CHECK(parse_hello("my_pc")->kind == Kind::other);
    CHECK(parse_hello("192.0.2.1")->kind == Kind::domain);
    CHECK(parse_hello("b\xC3\xBC"
                      "cher.example")
              ->text == "xn--bcher-kva.example");
    for (const auto bad :
         {""sv, "a b"sv, "a\tb"sv, "\x1b]0;x\x07\nauth-fail rip=9.9.9.9"sv, "a\0"sv, "\xFF"sv}) {
        CHECK_FALSE(parse_hello(bad));
    }
    CHECK_FALSE(parse_hello(std::string(256, 'a')));
}

TEST_CASE("AUTH takes an initial response") {
    const auto plain = parse_auth("PLAIN AGEAYg==");
    REQUIRE(plain);
    CHECK(plain->mechanism == "PLAIN");
    CHECK(plain->initial == "\0a\0b"s);
    CHECK_FALSE(parse_auth("LOGIN")->initial.has_value());
    CHECK(parse_auth("PLAIN =")->initial == "");
    CHECK(parse_auth("PLAIN A").error().enhanced == "5.5.2");
    CHECK(parse_auth("PLAIN AGEAYg== x").error().code == 501);
    CHECK(parse_auth("").error().code == 501);
    CHECK(parse_auth("A/B").error().code == 501);
}

TEST_CASE("xtext") {
    CHECK(xtext_decode("a+2Bb+3D") == "a+b=");
    CHECK(xtext_encode("a+b= \xFF") == "a+2Bb+3D+20+FF");
    for (const auto* bad : {"+", "+2", "+2b", "a=b", "a b", "+G0", "\xC3\xBC"}) {
        CHECK_FALSE(xtext_decode(bad));
    }
}

TEST_CASE("the announcement depends on the channel") {
    const auto mx = announced({true, false, false});
    CHECK(ehlo_text("mx.example", mx, 1000) ==
          "mx.example\nPIPELINING\nSIZE 1000\n8BITMIME\nENHANCEDSTATUSCODES\nSMTPUTF8\nSTARTTLS");
    CHECK_FALSE(announced({true, true, false}).has(Extension::auth));
    CHECK_FALSE(announced({true, false, true}).has(Extension::auth));
    CHECK_FALSE(announced({false, false, false}).has(Extension::starttls));
    CHECK(ehlo_text("h", submission(), 1) ==
          "h\nPIPELINING\nSIZE 1\n8BITMIME\nENHANCEDSTATUSCODES\nSMTPUTF8\nAUTH PLAIN LOGIN");
}

#include "common/mime/downgrade.h"

#include "common/base/text.h"
#include "common/mime/imap_text.h"
#include "common/mime/lexer.h"
#include "common/mime/section.h"

#include <catch2/catch.hpp>

using namespace std::string_literals;
using namespace tambo;
using namespace tambo::mime;

namespace {

using Verdict = Downgrade::Verdict;

struct Result {
    Verdict verdict;
    std::string reason, message;
};

Result downgrade(std::string_view message, const NextHop& hop = {}) {
    const size_t seam = std::min<size_t>(message.size(), 15);
    const MessageView view(message.substr(0, seam), message.substr(seam));
    const Structure structure = parse_structure(view);
    Downgrade work(view, structure, hop);
    Result result{work.verdict(), std::string(work.reason()), ""};
    if (result.verdict != Verdict::possible) return result;
    for (std::string chunk; work.next(chunk);)
        result.message += chunk;
    return result;
}

std::string part(const std::string& message, std::string_view section) {
    const MessageView view(message);
    const auto found = find_section(view, parse_structure(view), *parse_section(section));
    return found.exists ? view.copy(found.range) : "NIL";
}

const std::string kEight = "caf\xc3\xa9 = 1\r\nline two  \r\n";

} // namespace

TEST_CASE("what a message needs") {
    const auto needs = [](std::string_view message) {
        const MessageView view(message);
        const MessageNeeds n = message_needs(view, parse_structure(view));
        return cat(int{n.eight_bit_mime}, int{n.smtp_utf8});
    };
    CHECK(needs("Subject: x\r\n\r\nbody") == "00");
    CHECK(needs("Subject: x\r\n\r\n\xff") == "10");
    CHECK(needs("Subject: \xff\r\n\r\nbody") == "01");
    CHECK(
        needs("Content-Type: multipart/mixed; boundary=b\r\n\r\n\xff\r\n--b\r\nX: \xff\r\n\r\n") ==
        "11");
    CHECK(needs("") == "00");
}

TEST_CASE("nothing to do") {
    CHECK(downgrade("Subject: x\r\n\r\nbody").verdict == Verdict::not_needed);
    CHECK(downgrade("Subject: x\r\n\r\n\xff", {true, false}).verdict == Verdict::not_needed);
    CHECK(downgrade("Subject: \xff\r\n\r\nx", {false, true}).verdict == Verdict::not_needed);
}

TEST_CASE("a text message becomes quoted-printable") {
    const Result r = downgrade("Subject: x\r\nMIME-Version: 1.0\r\n"
                               "Content-Type: text/plain; charset=utf-8\r\n"
                               "Content-Transfer-Encoding: 8bit\r\nX-After: 1\r\n\r\n" +
                               kEight);
    CHECK(r.message == "Subject: x\r\nMIME-Version: 1.0\r\n"
                       "Content-Type: text/plain; charset=utf-8\r\nX-After: 1\r\n"
                       "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                       "caf=C3=A9 =3D 1\r\nline two =20\r\n");
    CHECK(decode_body(Encoding::quoted_printable, part(r.message, "TEXT")) == kEight);
}

TEST_CASE("a message that only sends 8-bit gets the fields it lacks") {
    const Result utf8 = downgrade("Subject: x\r\n\r\ncaf\xc3\xa9\r\n");
    CHECK(utf8.message == "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; "
                          "charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
                          "caf=C3=A9\r\n");
    CHECK(downgrade("Subject: x\r\n\r\ncaf\xe9\r\n").message.find("charset=unknown-8bit") !=
          std::string::npos);
}

TEST_CASE("the structure stays, parts without 8-bit bytes are copied") {
    const std::string message =
        "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "pr\xc3\xa9"
        "amble\r\n--b\r\nContent-Type: text/plain\r\n\r\nplain = ascii\r\n"
        "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>\xc3\xa9\r\n"
        "--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: "
        "binary\r\n\r\n\x01\xff\r\n"
        "--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        "Subject: in\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
        kEight + "\r\n--b--\r\nepi\xff\r\n";
    const Result r = downgrade(message);
    REQUIRE(r.verdict == Verdict::possible);
    CHECK(is_ascii(r.message));
    const Structure before = parse_structure(MessageView(message));
    const Structure after = parse_structure(MessageView(r.message));
    REQUIRE(after.parts.size() == before.parts.size());
    for (size_t i = 0; i < before.parts.size(); ++i) {
        CHECK(after.parts[i].is(before.parts[i].type, before.parts[i].subtype));
        CHECK(after.parts[i].parent == before.parts[i].parent);
    }
    CHECK(part(r.message, "1") == "plain = ascii");
    CHECK(part(r.message, "1.MIME") == "Content-Type: text/plain\r\n\r\n");
    CHECK(part(r.message, "2") == "<p>=C3=A9");
    CHECK(decode_body(Encoding::base64, part(r.message, "3")) == "\x01\xff");
    CHECK(after.parts[0].encoding_token == "7bit");
    CHECK(after.parts[4].encoding_token == "7bit");
    CHECK(decode_body(Encoding::quoted_printable, part(r.message, "4.1")) == kEight);
    CHECK(part(r.message, "4.HEADER").find("MIME-Version: 1.0\r\n") != std::string::npos);
    CHECK(r.message.find("pr??amble") != std::string::npos);
    CHECK(downgrade(r.message).verdict == Verdict::not_needed);
}

TEST_CASE("long bodies come in chunks and decode to the same") {
    std::string body;
    for (int i = 0; i < 20'000; ++i)
        body += cat("line ", i, " \xc3\xa9\r\n");
    for (const std::string type : {"text/plain; charset=utf-8", "application/x-y"}) {
        const Result r = downgrade(cat("Content-Type: ", type, "\r\n\r\n", body));
        const Structure s = parse_structure(MessageView(r.message));
        CHECK(decode_body(s.root().encoding, part(r.message, "TEXT")) == body);
    }
}

TEST_CASE("8-bit bytes in encoded parts are encoded too") {
    const Result r =
        downgrade("Content-Type: text/plain; charset=utf-8\r\n"
                  "Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9 \xc3\xa9");
    CHECK(part(r.message, "TEXT") == "=C3=A9 =C3=A9");
    const Result junk = downgrade("Content-Type: text/plain\r\n"
                                  "Content-Transfer-Encoding: base64\r\n\r\nZm9v\xff\r\nYmFy");
    CHECK(decode_body(Encoding::base64, part(junk.message, "TEXT")) == "foobar");
}

TEST_CASE("what is signed or cannot be looked into is refused") {
    const std::string signed_message =
        "Content-Type: multipart/signed; boundary=b; protocol=x; micalg=y\r\n\r\n--b\r\n"
        "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n\xc3\xa9\r\n--c--\r\n"
        "--b\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--b--\r\n";
    CHECK(downgrade(signed_message).verdict == Verdict::impossible);
    CHECK(downgrade(signed_message).reason == "a signed part has 8-bit bytes");
    // Beside a signed part that is 7-bit anyway it is fine.
    std::string ascii_inside = signed_message;
    ascii_inside.replace(ascii_inside.find("\xc3\xa9"), 2, "xx");
    const Result beside = downgrade("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n" +
                                    ascii_inside + "--a\r\n\r\n\xc3\xa9\r\n--a--\r\n");
    CHECK(beside.verdict == Verdict::possible);
    CHECK(beside.message.find(ascii_inside) != std::string::npos);

    for (const std::string type :
         {"message/partial; id=x", "message/external-body; access-type=url",
          "message/rfc822\r\nContent-Transfer-Encoding: base64",
          "text/plain\r\nContent-Type: text/html",
          "text/plain\r\nContent-Transfer-Encoding: x-uuencode"}) {
        CHECK(downgrade(cat("Content-Type: ", type, "\r\n\r\n\xc3\xa9")).verdict ==
              Verdict::impossible);
    }
}

TEST_CASE("headers for a next hop without SMTPUTF8") {
    const NextHop hop{true, false};
    const Result r = downgrade("Received: from x\r\n"
                               "From: J\xc3\xb6rg <j@b\xc3\xbc"
                               "cher.example>\r\nTo: a@b\r\n"
                               "Subject: gr\xc3\xbc\xc3\x9f"
                               "e\r\n"
                               "Content-Type: text/plain; charset=utf-8; name=\"\xc3\xa9.txt\"\r\n"
                               "X-Note: \xc3\xa9\r\n\r\nbody \xc3\xa9\r\n",
                               hop);
    CHECK(r.message == "Received: from x\r\n"
                       "From: =?utf-8?Q?J=C3=B6rg?= <j@xn--bcher-kva.example>\r\nTo: a@b\r\n"
                       "Subject: =?utf-8?Q?gr=C3=BC=C3=9Fe?=\r\n"
                       "Content-Type: text/plain; charset=utf-8; name*=utf-8''%C3%A9.txt\r\n"
                       "X-Note: =?utf-8?B?w6k=?=\r\n\r\nbody \xc3\xa9\r\n");
    for (const std::string field :
         {"To: j\xc3\xb6rg@example.com", "To: a@b <\xc3\xa9@c>", "Message-ID: <\xc3\xa9@x>",
          "Received: from \xc3\xa9", "n\xc3\xa9n: x", "DKIM-Signature: d=\xc3\xa9",
          "Content-Type: multipart/mixed; boundary=\"\xc3\xa9\""}) {
        CHECK(downgrade(field + "\r\n\r\nx", hop).verdict == Verdict::impossible);
    }
}

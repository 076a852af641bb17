#include "common/mime/compose.h"

#include "common/base/text.h"
#include "common/mime/decode.h"
#include "common/mime/encoded_word.h"
#include "common/mime/header.h"
#include "common/mime/lexer.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::mime;

namespace {

std::string field(std::string_view name, std::string_view value) {
    std::string out;
    append_field(out, name, value);
    return out;
}

} // namespace

TEST_CASE("fields are folded at blanks and unfold to the same") {
    CHECK(field("A", "short value") == "A: short value\r\n");
    CHECK(field("A", "") == "A: \r\n");
    std::string value;
    for (int i = 0; i < 100; ++i)
        value += cat(i == 0 ? "" : i % 3 == 0 ? "  " : " ", "word", i);
    const std::string folded = field("Subject", value);
    for (const auto line : split(folded, '\n'))
        CHECK(line.size() <= 79);
    const Header header = Header::parse(folded);
    REQUIRE(header.fields().size() == 1);
    CHECK(unfold(header.fields()[0].value) == value);
    const std::string word(200, 'x'); // cannot be folded
    CHECK(field("A", word) == cat("A: ", word, "\r\n"));
    CHECK(field("A", cat("b ", word)) == cat("A: b\r\n ", word, "\r\n"));
}

TEST_CASE("no value begins a field of its own") {
    for (const std::string value :
         {"x\r\nBcc: evil@x", "x\nBcc: evil@x", "x\rBcc: evil@x", "\r\n\r\nbody"}) {
        std::string out = field("A", value);
        append_text_field(out, "Subject", value);
        append_text_field(out, "Subject", value + "\xc3\xa9");
        const Address address{Address::Kind::mailbox, true, value, "", "a", "b"};
        CHECK(append_address_field(out, "From", std::vector<Address>{address}));
        const Header header = Header::parse(out);
        CHECK(header.fields().size() == 4);
        CHECK(header.find("Bcc") == nullptr);
        CHECK_FALSE(header.has_blank_line());
    }
}

TEST_CASE("subjects in UTF-8") {
    std::string out;
    const std::string subject = "Zustellung an J\xc3\xb6rg gescheitert: " + std::string(30, 'y') +
                                " \xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82 " +
                                std::string(60, 'z');
    append_text_field(out, "Subject", subject);
    CHECK(is_ascii(out));
    for (const auto line : split(out, '\n'))
        CHECK(line.size() <= 79);
    CHECK(decode_words(Header::parse(out).value("Subject")) == subject);
}

TEST_CASE("addresses are written so that they read back the same") {
    CHECK(format_address("", "a@b") == "a@b");
    CHECK(format_address("Mail System", "a@b") == "Mail System <a@b>");
    CHECK(format_address("Doe, John \"J\"", "a@b") == "\"Doe, John \\\"J\\\"\" <a@b>");
    CHECK(format_address("J\xc3\xb6rg", "a@b") == "=?utf-8?Q?J=C3=B6rg?= <a@b>");
    const std::string list = "\"A, B\" <\"x y\"@c>, group: =?utf-8?Q?J=C3=B6rg?= <d@e>, f@g;, "
                             "h@b\xc3\xbc"
                             "cher.example, empty:;";
    std::string out;
    CHECK(append_address_field(out, "To", parse_addresses(list).items));
    CHECK(out == "To: \"A, B\" <\"x y\"@c>, group: =?utf-8?Q?J=C3=B6rg?= <d@e>, f@g;,\r\n"
                 " h@xn--bcher-kva.example, empty: ;\r\n");
    CHECK_FALSE(append_address_field(out, "To", parse_addresses("\xc3\xb6@b").items));
    CHECK_FALSE(append_address_field(out, "To", parse_addresses("a@\xe2\x80\x8b").items));
}

TEST_CASE("boundaries occur nowhere, message ids are unique by their id") {
    const Id id = Id::make(1, 2, 3, 4);
    const std::string first = make_boundary(id, {});
    const std::string text = cat("x\r\n--", first, "\r\n");
    const std::string_view texts[] = {"", text};
    const std::string second = make_boundary(id, texts);
    CHECK(second != first);
    CHECK(second.size() <= 70); // RFC 2046 5.1.1
    CHECK(make_message_id(id, "mx.example") == cat("<", id.text(), "@mx.example>"));
}

TEST_CASE("text parts") {
    CHECK(text_part("hello\nworld") == "Content-Type: text/plain; charset=us-ascii\r\n"
                                       "Content-Transfer-Encoding: 7bit\r\n\r\nhello\r\nworld\r\n");
    CHECK(text_part("a\r\n") == "Content-Type: text/plain; charset=us-ascii\r\n"
                                "Content-Transfer-Encoding: 7bit\r\n\r\na\r\n");
    const std::string part = text_part("caf\xc3\xa9\n" + std::string(2000, 'x'));
    CHECK(is_ascii(part));
    CHECK(part.find("charset=utf-8") != std::string::npos);
    const std::string body = part.substr(part.find("\r\n\r\n") + 4);
    CHECK(trim(decode_body(Encoding::quoted_printable, body)) ==
          "caf\xc3\xa9\r\n" + std::string(2000, 'x'));
}

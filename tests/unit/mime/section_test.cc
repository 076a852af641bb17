#include "common/mime/section.h"

#include "common/base/text.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::mime;

namespace {

// RFC 9051 6.4.5.1: the example with its part numbers.
const std::string kMessage =
    "Subject: top\r\nFrom: a@b\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n"
    "--m\r\nContent-Type: text/plain\r\n\r\nonly 1\r\n"
    "--m\r\nContent-Type: application/octet-stream\r\n\r\nonly 2\r\n"
    "--m\r\nContent-Type: message/rfc822\r\n\r\n"
    "Subject: three\r\nContent-Type: multipart/mixed; boundary=n\r\n\r\n"
    "--n\r\n\r\n3 dot 1\r\n"
    "--n\r\nContent-Type: application/octet-stream\r\n\r\n3 dot 2\r\n--n--\r\n"
    "--m\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
    "--o\r\nContent-Type: image/gif\r\n\r\n4 dot 1\r\n"
    "--o\r\nContent-Type: message/rfc822\r\nX-MIME: yes\r\n\r\n"
    "Subject: four two\r\nContent-Type: text/plain\r\n\r\n4 dot 2 dot 1\r\n--o--\r\n--m--\r\n";

std::string get(std::string_view message, std::string_view section) {
    const MessageView view(message.substr(0, 20),
                           message.substr(std::min<size_t>(20, message.size())));
    const Structure structure = parse_structure(view);
    const auto parsed = parse_section(section);
    if (!parsed) return "BAD";
    const SectionBytes found = find_section(view, structure, *parsed);
    if (!found.exists) return "NIL";
    return found.generated ? found.bytes : view.copy(found.range);
}
std::string get(std::string_view section) {
    return get(kMessage, section);
}

} // namespace

TEST_CASE("part numbers of RFC 9051") {
    CHECK(get("") == kMessage);
    CHECK(get("1") == "only 1");
    CHECK(get("2") == "only 2");
    CHECK(get("3").starts_with("Subject: three\r\n"));
    CHECK(get("3").ends_with("--n--"));
    CHECK(get("3.1") == "3 dot 1");
    CHECK(get("3.2") == "3 dot 2");
    CHECK(get("4.1") == "4 dot 1");
    CHECK(get("4.2") == "Subject: four two\r\nContent-Type: text/plain\r\n\r\n4 dot 2 dot 1");
    CHECK(get("4.2.1") == "4 dot 2 dot 1");
    for (const auto* absent : {"5", "1.1", "3.3", "4.2.2", "4.2.1.1", "1.HEADER", "4.HEADER",
                               "4.1.TEXT", "3.1.HEADER", "4294967295"}) {
        CHECK(get(absent) == "NIL");
    }
}

TEST_CASE("HEADER, TEXT and MIME") {
    const size_t end = kMessage.find("\r\n\r\n") + 4;
    CHECK(get("HEADER") == kMessage.substr(0, end));
    CHECK(get("text") == kMessage.substr(end));
    CHECK(get("HEADER") + get("TEXT") == kMessage);
    CHECK(get("3.HEADER") == "Subject: three\r\nContent-Type: multipart/mixed; boundary=n\r\n\r\n");
    CHECK(get("3.TEXT").starts_with("--n\r\n"));
    CHECK(get("3.HEADER") + get("3.TEXT") == get("3"));
    CHECK(get("1.MIME") == "Content-Type: text/plain\r\n\r\n");
    CHECK(get("4.2.MIME") == "Content-Type: message/rfc822\r\nX-MIME: yes\r\n\r\n");
    CHECK(get("4.2.HEADER") == "Subject: four two\r\nContent-Type: text/plain\r\n\r\n");
    CHECK(get("4.2.TEXT") == "4 dot 2 dot 1");
    CHECK(get("4.MIME") == "Content-Type: multipart/mixed; boundary=o\r\n\r\n");
}

TEST_CASE("HEADER.FIELDS keeps bytes and order") {
    CHECK(get("HEADER.FIELDS (from SUBJECT)") == "Subject: top\r\nFrom: a@b\r\n\r\n");
    CHECK(get("HEADER.FIELDS (\"From\")") == "From: a@b\r\n\r\n");
    CHECK(get("HEADER.FIELDS (X-None)") == "\r\n");
    CHECK(get("header.fields.not (Content-Type From)") == "Subject: top\r\n\r\n");
    CHECK(get("4.2.HEADER.FIELDS (Subject)") == "Subject: four two\r\n\r\n");
    std::string names = "HEADER.FIELDS.NOT (from";
    for (int i = 0; i < 1000; ++i)
        names += cat(" X-", i);
    CHECK(get(names + ")").starts_with("Subject: top\r\nContent-Type"));
    const std::string odd = "A: 1\n b: 2\nnonsense\nA : 3\n\nbody";
    CHECK(get(odd, "HEADER.FIELDS (a)") == "A: 1\n b: 2\nA : 3\n\n");
    CHECK(get(odd, "HEADER.FIELDS.NOT (a)") == "nonsense\n\n");
    CHECK(get("A: 1\r\nB: 2", "HEADER.FIELDS (b)") == "B: 2");
    CHECK(get("\r\nbody", "HEADER.FIELDS (b)") == "\r\n");
    CHECK(get("", "HEADER.FIELDS (b)") == "");
}

TEST_CASE("a message without parts has part 1") {
    const std::string plain = "Subject: x\r\n\r\nbody\r\n";
    CHECK(get(plain, "1") == "body\r\n");
    CHECK(get(plain, "TEXT") == "body\r\n");
    CHECK(get(plain, "1.MIME") == "Subject: x\r\n\r\n");
    CHECK(get(plain, "2") == "NIL");
    CHECK(get(plain, "1.1") == "NIL");
    CHECK(get(plain, "1.HEADER") == "NIL");
    const std::string wrapped = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext";
    CHECK(get(wrapped, "1") == "Subject: in\r\n\r\ntext");
    CHECK(get(wrapped, "1.HEADER") == "Subject: in\r\n\r\n");
    CHECK(get(wrapped, "1.1") == "text");
    CHECK(get(wrapped, "HEADER") == "Content-Type: message/rfc822\r\n\r\n");
}

TEST_CASE("sections that are no sections") {
    for (const auto* bad : {"0",
                            "1.0",
                            "1.",
                            ".1",
                            "MIME",
                            "1.FOO",
                            "HEADERS",
                            "HEADER.FIELDS",
                            "HEADER.FIELDS ()",
                            "HEADER.FIELDS (a",
                            "HEADER.FIELDS (a  b)",
                            "HEADER.FIELDS a",
                            "TEXT ",
                            "1 ",
                            "01x",
                            "-1",
                            "4294967296",
                            "1.HEADER.FIELDS (\"open)",
                            "HEADER.FIELDS (a) x",
                            "TEXT.1"}) {
        CHECK(get(bad) == "BAD");
    }
    std::string deep = "1";
    for (int i = 0; i < 100'000; ++i)
        deep += ".1";
    CHECK(get(deep) == "BAD");
}

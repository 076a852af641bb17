#include "common/mime/header.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/mime/lexer.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::mime;

TEST_CASE("a header is split into fields with offsets") {
    const std::string text =
        "From: a@b\r\nSubject: one\r\n two\r\n\tthree\r\nTo:\r\n\r\nbody: no\r\n";
    const Header header = Header::parse(text, 100);
    REQUIRE(header.fields().size() == 3);
    CHECK(header.fields()[0].name == "From");
    CHECK(header.fields()[0].value == " a@b");
    CHECK(header.fields()[0].range == Range{100, 111});
    CHECK(header.fields()[1].value == " one\r\n two\r\n\tthree");
    CHECK(unfold(header.fields()[1].value) == "one two\tthree");
    CHECK(header.fields()[2].value.empty());
    CHECK(header.has_blank_line());
    CHECK(header.end() == 100 + text.find("body"));
    CHECK(header.find("sUBJECT") == &header.fields()[1]);
    CHECK(header.find("Body") == nullptr);
}

TEST_CASE("line ends may be LF, the blank line may be missing") {
    const Header lf = Header::parse("A: 1\nB: 2\n\nbody");
    REQUIRE(lf.fields().size() == 2);
    CHECK(lf.fields()[0].value == " 1");
    CHECK(lf.end() == 11);
    const Header open = Header::parse("A: 1\r\nB: 2");
    REQUIRE(open.fields().size() == 2);
    CHECK(open.fields()[1].value == " 2");
    CHECK_FALSE(open.has_blank_line());
    CHECK(open.end() == 10);
    CHECK(Header::parse("").fields().empty());
    CHECK(Header::parse("\r\nbody").end() == 2);
    CHECK(Header::parse("\r\nbody").fields().empty());
}

TEST_CASE("what is no field is kept without a name") {
    const Header header =
        Header::parse(" leading\r\nno colon here\r\n: empty\r\nF\x01o: x\r\nSubject : old\r\n"
                      "\xc3\xa9: x\r\n\r\n");
    REQUIRE(header.fields().size() == 6);
    for (const size_t i : {0u, 1u, 2u, 3u, 5u})
        CHECK(header.fields()[i].name.empty());
    CHECK(header.fields()[1].value == "no colon here");
    CHECK(header.fields()[4].name == "Subject");
    CHECK(header.fields()[4].obsolete);
    CHECK(header.value("subject") == " old");
    // Nothing is lost: the ranges cover every byte up to the blank line.
    size_t at = 0;
    for (const Field& field : header.fields()) {
        CHECK(field.range.begin == at);
        at = field.range.end;
    }
    CHECK(at + 2 == header.end());
}

TEST_CASE("a bare CR ends no line") {
    const Header header = Header::parse("A: x\rB: y\r\n\r\r\nC: z\r\n\r\nbody");
    REQUIRE(header.fields().size() == 3);
    CHECK(header.fields()[0].value == " x\rB: y");
    CHECK(header.fields()[1].name.empty());
    CHECK(header.fields()[2].name == "C");
}

TEST_CASE("D2: one huge field is cut, its range is not") {
    const std::string text = cat("A: ", std::string(300'000, 'x'), "\r\n", " more\r\nB: y\r\n\r\n");
    const Header header = Header::parse(text);
    REQUIRE(header.fields().size() == 2);
    CHECK(header.fields()[0].value.size() == limits::header_field_bytes_max);
    CHECK(header.fields()[0].range.size() == text.size() - 8);
    CHECK(header.fields()[1].name == "B");
}

TEST_CASE("D1: beyond the line and byte limits fields are not indexed, the end is still found") {
    std::string text;
    for (int i = 0; i < 100'000; ++i)
        text.append("From: a@b\r\n");
    text.append("\r\nbody");
    const Header header = Header::parse(text);
    CHECK(header.truncated());
    CHECK(header.fields().size() == limits::header_lines_max);
    CHECK(header.has_blank_line());
    CHECK(header.end() == text.size() - 4);

    const std::string big =
        cat("A: ", std::string(limits::header_bytes_max, 'x'), "\r\nB: 1\r\n\r\nX");
    const Header cut = Header::parse(big);
    CHECK(cut.truncated());
    CHECK(cut.fields().size() == 1);
    CHECK(cut.end() == big.size() - 1);
}

TEST_CASE("header_text copies the header across the seam, at every split") {
    const std::string message = "A: 1\r\nB: 2\r\n 3\r\n\r\nbody\r\n\r\nmore";
    const std::string expected = "A: 1\r\nB: 2\r\n 3\r\n\r\n";
    for (size_t i = 0; i <= message.size(); ++i) {
        const std::string_view all = message;
        CHECK(header_text(MessageView(all.substr(0, i), all.substr(i))) == expected);
    }
    CHECK(header_text(MessageView("", "")).empty());
    const std::string huge(limits::header_bytes_max * 2, 'x');
    CHECK(header_text(MessageView(huge)).size() == limits::header_bytes_max);
}

TEST_CASE("a message view slices and reads lines across its seam") {
    const std::string message = "one\r\n\ntwo\r\rthree\r\nend";
    const std::string_view all = message;
    for (size_t i = 0; i <= message.size(); ++i) {
        const MessageView view(all.substr(0, i), all.substr(i));
        std::string scratch;
        for (size_t b = 0; b <= message.size(); ++b) {
            for (size_t e = b; e <= message.size() + 2; ++e) {
                CHECK(view.slice({b, e}, scratch) == all.substr(b, e - b));
            }
        }
        LineReader lines(view);
        std::vector<std::string> seen;
        for (Line line; lines.next(line);) {
            seen.push_back(view.copy({line.range.begin, line.content_end()}));
        }
        CHECK(seen == std::vector<std::string>{"one", "", "two\r\rthree", "end"});
    }
}

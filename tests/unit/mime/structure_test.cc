#include "common/mime/structure.h"

#include "common/base/limits.h"
#include "common/base/text.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::mime;

namespace {

// Each part as "type/subtype 'body' lines", children in brackets; long bodies by their length.
std::string show(std::string_view message, const Structure& s, uint32_t index = 0) {
    const Part& part = s.parts[index];
    const auto body = message.substr(part.body.begin, part.body.size());
    std::string out = cat(part.opaque ? "opaque " : "", part.type, '/', part.subtype, ' ');
    if (part.kind == Part::Kind::leaf) {
        out += body.size() < 40 ? cat('\'', body, '\'') : cat(body.size());
        out += cat(' ', part.lines);
    }
    if (part.kind == Part::Kind::leaf) return out;
    out += '[';
    for (uint32_t c = part.first_child; c != kNoPart; c = s.parts[c].next) {
        out += cat(c == part.first_child ? "" : ", ", show(message, s, c));
    }
    return out + ']';
}

std::string tree(std::string_view message) {
    return show(message, parse_structure(MessageView(message)));
}

std::string describe(const Structure& s) {
    std::string out = cat(s.ambiguity, ' ', int{s.truncated});
    for (const Part& p : s.parts) {
        out += cat('\n', static_cast<int>(p.kind), int{p.opaque}, int{p.has_type}, ' ', p.type, '/',
                   p.subtype, ' ', p.encoding_token, ' ', p.ambiguity, ' ', p.header.begin, '-',
                   p.header.end, ' ', p.body.begin, '-', p.body.end, ' ', p.lines, ' ', p.parent,
                   ' ', p.first_child, ' ', p.last_child, ' ', p.next);
    }
    return out;
}

const std::string kMixed = "From: a@b\r\n"
                           "MIME-Version: 1.0\r\n"
                           "Content-Type: multipart/mixed; boundary=\"outer\"\r\n"
                           "\r\n"
                           "preamble\r\n"
                           "--outer\r\n"
                           "\r\n"
                           "one\r\ntwo\r\n"
                           "--outer\r\n"
                           "Content-Type: multipart/alternative; boundary=inner\r\n"
                           "\r\n"
                           "--inner\r\n"
                           "Content-Type: text/plain\r\n"
                           "\r\n"
                           "plain\r\n"
                           "\r\n"
                           "--inner  \r\n"
                           "Content-Type: text/html\r\n"
                           "\r\n"
                           "<p>\r\n"
                           "--inner--\r\n"
                           "between\r\n"
                           "--outer\r\n"
                           "Content-Type: message/rfc822\r\n"
                           "\r\n"
                           "Subject: inside\r\n"
                           "\r\n"
                           "text of it\r\n"
                           "--outer--\r\n"
                           "epilogue\r\n";

} // namespace

TEST_CASE("a message of every kind of part") {
    CHECK(tree(kMixed) == "multipart/mixed [text/plain 'one\r\ntwo' 2, "
                          "multipart/alternative [text/plain 'plain\r\n' 1, text/html '<p>' 1], "
                          "message/rfc822 [text/plain 'text of it' 1]]");
    const Structure s = parse_structure(MessageView(kMixed));
    CHECK(s.ambiguity == 0);
    CHECK_FALSE(s.truncated);
    CHECK(s.root().body == Range{kMixed.find("preamble"), kMixed.size()});
    CHECK(s.root().lines == 27);
    const Part& rfc822 = s.parts[s.child(0, 3)];
    CHECK(kMixed.substr(rfc822.body.begin, rfc822.body.size()) ==
          "Subject: inside\r\n\r\ntext of it");
    CHECK(rfc822.lines == 3);
    CHECK(s.child(0, 4) == kNoPart);
    CHECK(s.parts[s.child(0, 2)].body.size() > 0);
}

TEST_CASE("prefix and body are read as one message, at every seam") {
    const std::string expected = describe(parse_structure(MessageView(kMixed)));
    const std::string_view all = kMixed;
    for (size_t i = 0; i <= all.size(); ++i) {
        CHECK(describe(parse_structure(MessageView(all.substr(0, i), all.substr(i)))) == expected);
    }
}

TEST_CASE("line ends may be LF") {
    std::string lf;
    for (const char c : kMixed) {
        if (c != '\r') lf.push_back(c);
    }
    CHECK(tree(lf) == "multipart/mixed [text/plain 'one\ntwo' 2, "
                      "multipart/alternative [text/plain 'plain\n' 1, text/html '<p>' 1], "
                      "message/rfc822 [text/plain 'text of it' 1]]");
}

TEST_CASE("messages without structure") {
    CHECK(tree("") == "text/plain '' 0");
    CHECK(tree("\r\n") == "text/plain '' 0");
    CHECK(tree("Subject: x\r\n\r\nbody") == "text/plain 'body' 1");
    CHECK(tree("Subject: x\r\n\r\na\r\nb\r\n") == "text/plain 'a\r\nb\r\n' 2");
    CHECK(tree("Subject: x") == "text/plain '' 0");
    CHECK(tree("Content-Type: text/html\r\n\r\n\r\n") == "text/html '\r\n' 1");
    CHECK(tree("Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nb") ==
          "message/rfc822 [text/plain 'b' 1]");
    CHECK(tree("Content-Type: message/rfc822\r\n\r\n") == "message/rfc822 [text/plain '' 0]");
    CHECK(tree("Content-Type: message/rfc822") == "message/rfc822 [text/plain '' 0]");
}

TEST_CASE("boundaries that begin alike, odd delimiters") {
    const std::string head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    CHECK(tree(head + "--b\r\n\r\nx\r\n--bb\r\n--b-\r\n--b--x\r\n--b \t--\r\n--b--\r\n") ==
          "multipart/mixed [text/plain 'x\r\n--bb\r\n--b-\r\n--b--x\r\n--b \t--' 5]");
    CHECK(tree(head + "--b\r\n\r\nx") == "multipart/mixed [text/plain 'x' 1]"); // never closed
    CHECK(tree(head + "--b--\r\n--b\r\n\r\nx") == "multipart/mixed []");
    CHECK(tree(head + "no delimiter at all") == "multipart/mixed []");
    CHECK(tree(head + "--b\r\n--b\r\n--b--") ==
          "multipart/mixed [text/plain '' 0, text/plain '' 0]");
    CHECK(tree(head + "--b\r\nX: y\r\n--b--\r\n") == "multipart/mixed [text/plain '' 0]");
    CHECK(tree(head + "--b\r\n\r\n\r\n--b--\r\n") == "multipart/mixed [text/plain '' 0]");
    // Outer and inner boundary where one is the beginning of the other one.
    CHECK(tree("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
               "Content-Type: multipart/mixed; boundary=b2\r\n\r\n--b2\r\n\r\nx\r\n--b2--\r\n"
               "--b\r\n\r\ny\r\n--b--\r\n") ==
          "multipart/mixed [multipart/mixed [text/plain 'x' 1], text/plain 'y' 1]");
    // A boundary that ends in dashes.
    CHECK(
        tree("Content-Type: multipart/mixed; boundary=\"--\"\r\n\r\n----\r\n\r\nx\r\n------\r\n") ==
        "multipart/mixed [text/plain 'x' 1]");
    // The boundary's own blanks at its end do not count.
    CHECK(
        tree("Content-Type: multipart/mixed; boundary=\"b  \"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n") ==
        "multipart/mixed [text/plain 'x' 1]");
}

TEST_CASE("the same boundary inside and outside: the inner one first") {
    const std::string message =
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"
        "--b\r\n\r\ny\r\n--b--\r\n";
    CHECK(tree(message) ==
          "multipart/mixed [multipart/mixed [text/plain 'x' 1], text/plain 'y' 1]");
    CHECK((parse_structure(MessageView(message)).ambiguity & kOddContainer) != 0);
}

TEST_CASE("an outer delimiter ends everything inside") {
    CHECK(tree("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n"
               "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
               "Content-Type: message/rfc822\r\n\r\nContent-Type: multipart/x; boundary=c\r\n"
               "--a\r\n\r\nlast\r\n--a--\r\n") ==
          "multipart/mixed [multipart/mixed [message/rfc822 [multipart/x []]], "
          "text/plain 'last' 1]");
}

TEST_CASE("types: digest, missing, broken, encoded containers") {
    CHECK(
        tree("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\nhi\r\n"
             "--b\r\nContent-Type: text/plain\r\n\r\nno message\r\n--b--\r\n") ==
        "multipart/digest [message/rfc822 [text/plain 'hi' 1], text/plain 'no message' 1]");
    CHECK(tree("Content-Type: multipart/mixed\r\n\r\n--x\r\n") == "text/plain '--x\r\n' 1");
    CHECK(tree("Content-Type: text\r\n\r\nx") == "text/plain 'x' 1");
    CHECK(tree("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: "
               "base64\r\n\r\nU3ViamVjdA==") == "opaque message/rfc822 'U3ViamVjdA==' 1");
    CHECK(tree("Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: base64\r\n"
               "\r\n--b\r\n\r\nx\r\n--b--") == "multipart/mixed [text/plain 'x' 1]");
    CHECK(tree("Content-Type: message/delivery-status\r\n\r\nx: y") ==
          "message/delivery-status 'x: y' 1");
}

TEST_CASE("D6: what readers may disagree about is flagged") {
    const auto flags = [](std::string_view header) {
        return parse_structure(MessageView(cat(header, "\r\n\r\n--b\r\n\r\n--b--\r\n"))).ambiguity;
    };
    const std::string good = "Content-Type: multipart/mixed; boundary=b";
    CHECK(flags(good) == 0);
    CHECK(flags(good + "\r\nContent-Type: text/plain") == kRepeatedField);
    CHECK(flags("Content-Type: multipart/mixed; boundary=a; boundary=b") == kRepeatedParameter);
    CHECK(flags("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64 ") == kOddEncoding);
    CHECK(flags("Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n"
                "Content-Transfer-Encoding: 7bit") == kRepeatedField);
    CHECK(flags("Content-Type : text/plain") == kObsoleteName);
    CHECK(flags("Content-Type: multipart/mixed") == kOddContainer);
    CHECK(flags("Content-Type: text") == kOddType);
    CHECK(flags("Content-Type: text/plain; charset=x y=z") == kOddParameter);
    CHECK(flags(cat("Content-Type: multipart/mixed; boundary=",
                    std::string(limits::mime_boundary_bytes + 1, 'b'))) == kOddContainer);
}

TEST_CASE("the longest boundary works") {
    const std::string boundary(limits::mime_boundary_bytes, 'b');
    CHECK(tree(cat("Content-Type: multipart/mixed; boundary=", boundary, "\r\n\r\n--", boundary,
                   "\r\n\r\nx\r\n--", boundary, "--\r\nepilogue")) ==
          "multipart/mixed [text/plain 'x' 1]");
}

TEST_CASE("D3: depth 10,000 ends in one opaque leaf") {
    for (const std::string layer : {"Content-Type: message/rfc822\r\n\r\n", ""}) {
        std::string deep;
        for (int i = 0; i < 10'000; ++i) {
            deep += layer.empty() ? cat("Content-Type: multipart/mixed; boundary=b", i,
                                        "\r\n\r\n--b", i, "\r\n")
                                  : layer;
        }
        deep += "Subject: innermost\r\n\r\nx\r\n";
        const Structure s = parse_structure(MessageView(deep));
        CHECK(s.truncated);
        CHECK(s.parts.size() == limits::mime_depth_max);
        CHECK(s.parts.back().opaque);
        CHECK(s.parts.back().body.end == deep.size());
    }
}

TEST_CASE("D3: parts behind the last allowed one are text of it") {
    std::string many = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    for (int i = 0; i < 50'000; ++i)
        many += "--b\r\n\r\nx\r\n";
    many += "--b--\r\n";
    const Structure s = parse_structure(MessageView(many));
    CHECK(s.truncated);
    CHECK(s.parts.size() == limits::mime_parts_max);
    CHECK(s.parts.back().body.end == many.size());
    CHECK(s.parts[s.parts.size() - 2].body.size() == 1);
    // Exactly the limit: nothing is cut.
    std::string messages = "Content-Type: multipart/digest; boundary=b\r\n\r\n";
    for (int i = 0; i < 20'000; ++i)
        messages += "--b\r\n\r\n\r\n";
    const Structure digest = parse_structure(MessageView(messages));
    CHECK(digest.parts.size() == limits::mime_parts_max);
}

TEST_CASE("many long look-alike delimiters under many boundaries") {
    std::string message;
    const std::string stem(1900, 'x');
    for (size_t i = 0; i < limits::mime_depth_max - 1; ++i) {
        message +=
            cat("Content-Type: multipart/mixed; boundary=", stem, i, "\r\n\r\n--", stem, i, "\r\n");
    }
    message += "\r\n";
    for (int i = 0; i < 2000; ++i)
        message += cat("--", stem, "y\r\n");
    const Structure s = parse_structure(MessageView(message));
    CHECK(s.parts.size() == limits::mime_depth_max);
    CHECK(s.parts.back().lines == 2000);
}

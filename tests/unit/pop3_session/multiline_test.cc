#include "pop3d/session/multiline.h"

#include <catch2/catch.hpp>

using namespace tambo::pop3;

namespace {

// In pieces of these lengths, the last one taking the rest.
std::string stuffed(std::string_view text, size_t first, size_t second = std::string::npos) {
    DotStuffer stuffer;
    std::string out;
    stuffer.feed(text.substr(0, first), out);
    text.remove_prefix(first);
    stuffer.feed(text.substr(0, second), out);
    if (second < text.size()) stuffer.feed(text.substr(second), out);
    stuffer.finish(out);
    return out;
}

std::string top(std::string_view text, uint64_t lines, size_t first) {
    TopCut cut(lines);
    std::string out(cut.take(text.substr(0, first)));
    out += cut.take(text.substr(first));
    return out;
}

} // namespace

TEST_CASE("dot-stuffing at every split point") {
    const std::string_view text = ".a\r\n..\r\n.\r\nb.\r\n\n.c\r\n.";
    const std::string_view wire = "..a\r\n...\r\n..\r\nb.\r\n\n..c\r\n..\r\n.\r\n";
    for (size_t i = 0; i <= text.size(); ++i) {
        for (size_t j = 0; i + j <= text.size(); ++j)
            CHECK(stuffed(text, i, j) == wire);
    }
}

TEST_CASE("the end of a multi-line response") {
    CHECK(stuffed("", 0) == ".\r\n");
    CHECK(stuffed("a\r\n", 1) == "a\r\n.\r\n");
    CHECK(stuffed("a", 0) == "a\r\n.\r\n");
    CHECK(stuffed("a\n", 2) == "a\n.\r\n");
    CHECK(stuffed("a\r\n\r\n", 3) == "a\r\n\r\n.\r\n");
}

TEST_CASE("TOP cuts at every split point alike") {
    const std::string_view text = "A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n";
    for (size_t i = 0; i <= text.size(); ++i) {
        CHECK(top(text, 0, i) == "A: 1\r\nB: 2\r\n\r\n");
        CHECK(top(text, 1, i) == "A: 1\r\nB: 2\r\n\r\none\r\n");
        CHECK(top(text, 2, i) == "A: 1\r\nB: 2\r\n\r\none\r\n\r\n");
        CHECK(top(text, 3, i) == text);
        CHECK(top(text, UINT64_MAX, i) == text);
    }
}

TEST_CASE("TOP of odd messages") {
    for (size_t i = 0; i <= 4; ++i) {
        CHECK(top("\r\nbody\r\n", 0, i) == "\r\n");           // no header
        CHECK(top("a: b\r\n", 0, i) == "a: b\r\n");           // no body
        CHECK(top("a: b\n\nx\ny\n", 1, i) == "a: b\n\nx\n");  // bare LF
        CHECK(top("a\nb\n\r\nx\r\n", 0, i) == "a\nb\n\r\n");  // one-byte lines are not empty
        CHECK(top("a: b\r\n\r\nx", 1, i) == "a: b\r\n\r\nx"); // no line end
    }
    CHECK(top("", 3, 0).empty());
}

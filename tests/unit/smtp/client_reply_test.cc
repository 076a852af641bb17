#include "common/smtp/client_reply.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "tests/unit/cuts.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::smtp;
using namespace std::literals;

namespace {

using State = ReplyParser::State;

struct Parsed {
    State state;
    int code;
    std::string enhanced;
    std::vector<std::string> lines;
    std::string rest;
    bool operator==(const Parsed&) const = default;
};

Parsed parse_pieces(std::string_view wire, size_t cut) {
    ReplyParser parser;
    const size_t first = parser.feed(wire.substr(0, cut));
    std::string rest(wire.substr(0, cut).substr(first));
    const size_t second = parser.feed(wire.substr(cut));
    rest += wire.substr(cut + second);
    const auto& r = parser.reply();
    return {parser.state(), r.code, r.enhanced, r.lines, rest};
}

Parsed parse(std::string_view wire) {
    const auto whole = parse_pieces(wire, wire.size());
    for (size_t cut = 0; cut < std::min<size_t>(wire.size(), 4096); ++cut) {
        INFO("split at " << cut);
        CHECK(parse_pieces(wire, cut) == whole);
    }
    return whole;
}

std::string text(const Parsed& p) {
    std::string out;
    for (const auto& line : p.lines)
        out.append(line).append("|");
    return out;
}

} // namespace

TEST_CASE("replies of one and more lines") {
    auto p = parse("250 2.1.0 ok\r\n354 go\r\n");
    CHECK(p.state == State::complete);
    CHECK(p.code == 250);
    CHECK(p.enhanced == "2.1.0");
    CHECK(text(p) == "ok|");
    CHECK(p.rest == "354 go\r\n");
    p = parse("550-5.1.1 no such\r\n550-5.1.1 user\r\n550 5.1.2 here\r\n");
    CHECK(p.enhanced == "5.1.1");
    CHECK(text(p) == "no such|user|5.1.2 here|");
    CHECK(parse("250\r\n").state == State::complete);
    CHECK(text(parse("220 \r\n")) == "|");
    CHECK(parse("250-a\r\n").state == State::wanting);
    CHECK(parse("250 a\r").state == State::wanting);
}

TEST_CASE("hostile replies stay text") { // RULES.md I2
    auto p = parse("553-\r\n553\r\n");
    CHECK(p.state == State::complete);
    CHECK(text(p) == "||");
    p = parse("550 5.7.2\r\n");
    CHECK(p.enhanced == "5.7.2");
    CHECK(text(p) == "|");
    p = parse("550 x\x0atype: mda\r\n");
    CHECK(text(p) == "xtype: mda|");
    CHECK(p.rest.empty());
    p = parse("550 a\rb\0c\x1b[2J\xFF\r\n"sv);
    CHECK(text(p) == "abc[2J?|");
    CHECK(parse("550 2.1.0 odd\r\n").enhanced.empty());
    CHECK(text(parse("550 2.1.0 odd\r\n")) == "2.1.0 odd|");
    CHECK(text(parse("250 gr\xC3\xBC\xC3\x9F"
                     "e\r\n")) == "gr\xC3\xBC\xC3\x9F"
                                  "e|");
}

TEST_CASE("what is no reply ends the conversation") {
    for (const auto* bad :
         {"\r\n", "25\r\n", "2x0 a\r\n", "150 a\r\n", "650 a\r\n", "250a\r\n", "2500 a\r\n",
          " 250 a\r\n", "250-a\r\n251 b\r\n", "2\r50 a\r\n", "SSH-2.0-x\r\n"}) {
        INFO(escape(bad));
        CHECK(parse(bad).state == State::malformed);
    }
}

TEST_CASE("replies are bounded") {
    auto p = parse("550 " + std::string(600, 'x') + "\r\n");
    CHECK(p.state == State::complete);
    CHECK(p.lines[0].size() == limits::relay_reply_line_bytes - 4);
    std::string many;
    for (size_t i = 0; i < limits::relay_reply_lines; ++i)
        many += "550-x\r\n";
    CHECK(parse(many + "550 x\r\n").state == State::overlong);
    CHECK(parse(many.substr(7) + "550 x\r\n").state == State::complete);

    const std::string huge = "550 5.7.1 " + std::string(10 << 20, 'x');
    ReplyParser parser;
    size_t fed = 0;
    while (parser.state() == State::wanting) {
        fed += parser.feed(std::string_view(huge).substr(fed, 4096));
    }
    CHECK(parser.state() == State::overlong);
    CHECK(fed < ReplyParser::kBytesMax + 8192);
    CHECK(parser.reply().code == 550);
    CHECK(parser.reply().enhanced == "5.7.1");
    CHECK(parser.reply().text().size() < limits::relay_reply_line_bytes);
    ReplyParser carriage;
    const std::string returns(4096, '\r');
    while (carriage.state() == State::wanting)
        carriage.feed(returns);
    CHECK(carriage.state() == State::malformed);
}

TEST_CASE("I2: ten megabytes in one line are cut in the same way wherever they are cut") {
    const std::string huge = "550 5.7.1 " + std::string(10'000'000, 'x');
    const auto failure = cuts::everywhere(huge.size(), [&](size_t cut) -> std::string {
        ReplyParser parser;
        size_t fed = 0;
        size_t step = cut == cuts::kBytewise ? 1 : cut == cuts::kWhole ? huge.size() : cut;
        while (parser.state() == State::wanting && fed < huge.size()) {
            fed += parser.feed(std::string_view(huge).substr(fed, step));
            if (cut != cuts::kBytewise) step = 64 * 1024;
        }
        const auto& reply = parser.reply();
        const bool good = parser.state() == State::overlong && reply.code == 550 &&
                          reply.enhanced == "5.7.1" && reply.lines.size() == 1 &&
                          reply.lines[0] == std::string(limits::relay_reply_line_bytes - 10, 'x');
        return good ? "" : cat(reply.code, ' ', reply.enhanced, ' ', reply.text());
    });
    CHECK(failure == "");
}

TEST_CASE("the offer of a server") {
    ReplyParser parser;
    parser.feed("250-mx.example hello AUTH\r\n250-PIPELINING\r\n250-size 1000\r\n250-8bitmime\r\n"
                "250-AUTH=LOGIN\r\n250-X-FOO\r\n250-\r\n250-STARTTLS\r\n250 AUTH plain  LOGIN\r\n");
    const auto offer = parse_offer(parser.reply());
    CHECK(offer.extensions.has(Extension::pipelining));
    CHECK(offer.extensions.has(Extension::eight_bit_mime));
    CHECK(offer.extensions.has(Extension::starttls));
    CHECK_FALSE(offer.extensions.has(Extension::smtputf8));
    CHECK(offer.size_max == 1000u);
    CHECK(offer.mechanisms == std::vector<std::string>{"PLAIN", "LOGIN"});
    ReplyParser zero;
    zero.feed("250-x\r\n250-SIZE 0\r\n250 DSN\r\n");
    CHECK_FALSE(parse_offer(zero.reply()).size_max);
    CHECK(parse_offer(zero.reply()).extensions.has(Extension::dsn));
}

TEST_CASE("the text of a long reply is cut, between characters") {
    ServerReply reply;
    for (int i = 0; i < 100; ++i)
        reply.lines.push_back(std::string(500, 'x'));
    CHECK(reply.text().size() == ServerReply::kTextBytesMax);
    std::string umlauts;
    for (int i = 0; i < 800; ++i)
        umlauts += "\xC3\xBC";
    reply.lines = {"x" + umlauts};
    CHECK(reply.text().size() == ServerReply::kTextBytesMax - 1);
    CHECK(is_utf8(reply.text()));
}

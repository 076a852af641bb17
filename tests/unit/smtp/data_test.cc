#include "common/smtp/data.h"

#include "common/base/text.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::smtp;
using namespace std::literals;

namespace {

struct Decoded {
    std::string body, rest;
    bool ended = false;
    unsigned flaws = 0;
    bool operator==(const Decoded&) const = default;
};

// One feed() for each piece of wire that ends at one of the two cuts.
Decoded decode(std::string_view wire, size_t cut1, size_t cut2) {
    DataDecoder decoder;
    Decoded result;
    const size_t cuts[] = {0, cut1, cut2, wire.size()};
    for (int i = 0; i < 3; ++i) {
        const auto piece = wire.substr(cuts[i], cuts[i + 1] - cuts[i]);
        const size_t taken = decoder.ended() ? 0 : decoder.feed(piece, result.body);
        result.rest += piece.substr(taken);
    }
    CHECK(decoder.bytes() == result.body.size());
    result.ended = decoder.ended();
    result.flaws = decoder.flaws();
    return result;
}

// The same at every pair of split points, and byte by byte.
Decoded decode_everywhere(std::string_view wire) {
    const Decoded whole = decode(wire, wire.size(), wire.size());
    for (size_t i = 0; i <= wire.size(); ++i) {
        for (size_t k = i; k <= wire.size(); ++k) {
            if (decode(wire, i, k) == whole) continue;
            FAIL("differs when split at " << i << " and " << k << ": " << escape(wire));
        }
    }
    DataDecoder decoder;
    std::string body;
    for (const char& c : wire) {
        if (!decoder.ended()) decoder.feed({&c, 1}, body);
    }
    CHECK(body == whole.body);
    CHECK(decoder.ended() == whole.ended);
    CHECK(decoder.flaws() == whole.flaws);
    return whole;
}

std::string encode(std::string_view body, size_t cut) {
    DataEncoder encoder;
    std::string out;
    if (!encoder.feed(body.substr(0, cut), out)) return "refused";
    if (!encoder.feed(body.substr(cut), out)) return "refused";
    if (!encoder.finish(out)) return "refused";
    return out;
}

} // namespace

TEST_CASE("a message ends at its dot and keeps its bytes") {
    const auto d = decode_everywhere("Subject: x\r\n\r\nhello\r\n.\r\nQUIT\r\n");
    CHECK(d.body == "Subject: x\r\n\r\nhello\r\n");
    CHECK(d.rest == "QUIT\r\n");
    CHECK(d.ended);
    CHECK(d.flaws == 0);
    CHECK(decode_everywhere(".\r\n").body.empty());
    CHECK(decode_everywhere(".\r\n").ended);
    CHECK(decode_everywhere("a\r\n.\r\n.\r\n").rest == ".\r\n");
    CHECK_FALSE(decode_everywhere("a\r\n.").ended);
    CHECK_FALSE(decode_everywhere("a.\r\n").ended);
}

TEST_CASE("stuffed dots go, others stay") {
    const auto d = decode_everywhere("..a\r\n.b\r\nc.d\r\n..\r\n...\r\n.\r\n");
    CHECK(d.body == ".a\r\nb\r\nc.d\r\n.\r\n..\r\n");
    CHECK(d.flaws == 0);
    CHECK(d.ended);
}

TEST_CASE("smuggling sequences end nothing and are seen") {
    constexpr unsigned cr = DataDecoder::bare_cr, lf = DataDecoder::bare_lf, nul = DataDecoder::nul;
    struct Case {
        std::string_view bytes;
        unsigned flaws;
    };
    // RULES.md F1 and the tools it names
    for (const auto& [bytes, flaws] :
         {Case{"\n.\n"sv, lf}, Case{"\n.\r\n"sv, lf}, Case{"\r\n.\n"sv, lf}, Case{"\r.\r"sv, cr},
          Case{"\r\n.\r"sv, cr}, Case{"\r.\r\n"sv, cr}, Case{"\n.\r"sv, cr | lf},
          Case{"\r.\n"sv, cr | lf}, Case{"\r\n.\x00\r\n"sv, nul}, Case{"\r\n\x00.\r\n"sv, nul},
          Case{"\n\r.\r\n"sv, cr | lf}, Case{"\r\r\n.\r\r\n"sv, cr}, Case{"\r\n.\r\r\n"sv, cr},
          Case{"\r\n\n.\r\n"sv, lf}, Case{"\r\n.\r\r"sv, cr}, Case{"\n\n.\n\n"sv, lf}}) {
        const std::string wire =
            cat("x", bytes, "MAIL FROM:<evil@x>\r\nRCPT TO:<a@l>\r\n.\r\nNOOP\r\n");
        INFO(escape(wire));
        const auto d = decode_everywhere(wire);
        CHECK(d.ended);
        CHECK(d.flaws == flaws);
        CHECK(d.rest == "NOOP\r\n");
        CHECK(d.body.find("MAIL FROM:<evil@x>\r\n") != std::string::npos);
    }
}

TEST_CASE("the true end counts even right behind a bare CR") {
    const auto d = decode_everywhere("a\r\r\n.\r\nNOOP\r\n");
    CHECK(d.ended);
    CHECK(d.flaws == DataDecoder::bare_cr);
    CHECK(d.rest == "NOOP\r\n");
}

TEST_CASE("nothing behind the end touches the message") {
    const auto d = decode_everywhere("a\r\n.\r\n\0\n\r\xFF"sv);
    CHECK(d.flaws == 0);
    DataDecoder decoder;
    std::string body;
    decoder.feed("a\r\nb\xC3\xBC\r\n.\r\n\xFF", body);
    CHECK(decoder.has_8bit());
    CHECK(decoder.lines() == 2);
    DataDecoder seven;
    seven.feed("a\r\n.\r\n\xFF", body);
    CHECK_FALSE(seven.has_8bit());
}

TEST_CASE("the encoder stuffs, completes and refuses") {
    for (size_t cut = 0; cut <= 9; ++cut) {
        CHECK(encode(".a\r\n..\r\n.", std::min<size_t>(cut, 9)) == "..a\r\n...\r\n..\r\n.\r\n");
        CHECK(encode("a\r\nb.c\r\n"sv, std::min<size_t>(cut, 8)) == "a\r\nb.c\r\n.\r\n");
    }
    CHECK(encode("", 0) == ".\r\n");
    CHECK(encode("a", 0) == "a\r\n.\r\n");
    for (const auto bad : {"a\nb"sv, "a\rb"sv, "a\r"sv, "\n.\r\n"sv, "\r\r\n"sv, "a\0"sv}) {
        for (size_t cut = 0; cut <= bad.size(); ++cut)
            CHECK(encode(bad, cut) == "refused");
    }
}

TEST_CASE("what the encoder makes the decoder takes back") {
    const std::string body = "From: a\r\n\r\n.\r\n..\r\nx.\r\n\r\n.y\r\n";
    for (size_t cut = 0; cut <= body.size(); ++cut) {
        const auto d = decode(encode(body, cut), cut, cut);
        CHECK(d.body == body);
        CHECK(d.ended);
        CHECK(d.flaws == 0);
    }
}

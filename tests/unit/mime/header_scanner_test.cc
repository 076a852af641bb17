#include "common/mime/header_scanner.h"

#include "common/base/text.h"
#include "common/mime/header.h"

#include <catch2/catch.hpp>

using namespace std::string_literals;
using namespace tambo;
using namespace tambo::mime;

namespace {

struct Scan {
    HeaderScanner scanner;
    size_t header_bytes = 0;
};

Scan scan(std::initializer_list<std::string_view> chunks) {
    Scan result;
    for (const auto chunk : chunks)
        result.header_bytes += result.scanner.feed(chunk);
    result.scanner.finish();
    return result;
}

std::string describe(const Scan& s) {
    const HeaderFlags& f = s.scanner.flags();
    std::string out = cat(s.header_bytes, ' ', static_cast<int>(s.scanner.status()), ' ',
                          s.scanner.bytes(), ' ', s.scanner.lines(), " flags ", int{f.eight_bit},
                          int{f.nul}, int{f.bare_cr}, int{f.bare_lf}, int{f.obsolete_name},
                          int{f.malformed_line}, int{f.control_in_name}, int{f.repeated}, '\n');
    for (size_t i = 0; i < static_cast<size_t>(Watched::none); ++i) {
        out += cat(s.scanner.count(static_cast<Watched>(i)), ' ');
    }
    for (const KeptField& field : s.scanner.fields()) {
        out += cat('\n', static_cast<int>(field.name), ' ', field.begin, ' ', field.end, ' ',
                   int{field.truncated}, ' ', field.value);
    }
    return out;
}

const std::string kOdd = "Received: from a\r\n by b\r\nReceived: x\r\nFROM : \"A, B\" <a@b>\r\n"
                         "Subject: caf\xc3\xa9\r\n\tmore\r\nnonsense\r\n folded nonsense\r\n"
                         "Date: x\ry\r\n: z\nDelivered-To: u@x\r\nDelivered-To:\r\n"
                         "from: c@d\r\nfrom: e@f\r\nX\0Y: 1\r\n\rq\r\nContent-Type: text/plain;\r\n"
                         " charset=x\r\n\r\nFrom: body@x\r\n\r\n"s;

} // namespace

TEST_CASE("the scanner counts, keeps and flags") {
    const Scan s = scan({kOdd});
    CHECK(s.scanner.status() == HeaderScanner::Status::body);
    CHECK(kOdd.substr(s.header_bytes) == "From: body@x\r\n\r\n");
    CHECK(s.scanner.count(Watched::received) == 2);
    CHECK(s.scanner.count(Watched::from) == 3);
    CHECK(s.scanner.values(Watched::from).size() == 2);
    CHECK(s.scanner.values(Watched::from)[0] == " \"A, B\" <a@b>");
    CHECK(s.scanner.values(Watched::subject)[0] == " caf\xc3\xa9\r\n\tmore");
    CHECK(s.scanner.values(Watched::delivered_to).size() == 2);
    CHECK(s.scanner.values(Watched::content_type)[0] == " text/plain;\r\n charset=x");
    const HeaderFlags& f = s.scanner.flags();
    CHECK((f.eight_bit && f.bare_cr && f.bare_lf && f.obsolete_name && f.malformed_line));
    CHECK(f.repeated);
}

TEST_CASE("the scanner sees the same at every split, and byte by byte") {
    const std::string_view all = kOdd;
    const std::string expected = describe(scan({all}));
    for (size_t i = 0; i <= all.size(); ++i) {
        CHECK(describe(scan({all.substr(0, i), all.substr(i)})) == expected);
        const auto rest = all.substr(i);
        CHECK(describe(scan({all.substr(0, i), rest.substr(0, rest.size() / 2), "",
                             rest.substr(rest.size() / 2)})) == expected);
    }
    Scan bytes;
    for (size_t i = 0; i < all.size(); ++i)
        bytes.header_bytes += bytes.scanner.feed(all.substr(i, 1));
    bytes.scanner.finish();
    CHECK(describe(bytes) == expected);
}

TEST_CASE("M2: a control character in a name is flagged, elsewhere it is not") {
    for (const auto* named :
         {"From\v: a@b\r\n", "\vFrom: a@b\r\n", "Fr\x01om: a@b\r\n", "From \f: a@b\r\n",
          "From\x7f\t: a@b\r\n", "X\b\v y: z\r\n", "A: b\r\nFrom\x1f: a@b\r\n"}) {
        INFO(escape(named));
        const std::string header = cat(named, "To: c@d\r\n\r\n");
        for (size_t cut = 0; cut <= header.size(); ++cut) {
            const Scan s = scan({header.substr(0, cut), header.substr(cut)});
            CHECK((s.scanner.flags().control_in_name && s.scanner.flags().malformed_line));
            CHECK(s.scanner.count(Watched::from) == 0);
            CHECK(s.scanner.count(Watched::to) == 1);
            CHECK(s.header_bytes == header.size());
        }
    }
    for (const auto* other : {"From: a\v@b\r\n", "From\v\r\n", "\v\r\n: x\r\n", "From\t: a@b\r\n",
                              "A: b\r\n From\v: a@b\r\n", "no name\v: x\r\n",
                              "caf\xc3\xa9\v: x\r\n", "\r\nFrom\v: a@b\r\n"}) {
        INFO(escape(other));
        CHECK_FALSE(scan({other}).scanner.flags().control_in_name);
    }
    CHECK_FALSE(scan({"From\v"}).scanner.flags().control_in_name);
}

TEST_CASE("a clean header has no flags") {
    const Scan s = scan({"From: a@b\r\nDate: x\r\nSubject:\r\n folded\r\n\r\nbody \x80\r\n"});
    const HeaderFlags& f = s.scanner.flags();
    CHECK_FALSE((f.eight_bit || f.nul || f.bare_cr || f.bare_lf || f.obsolete_name ||
                 f.malformed_line || f.repeated));
    CHECK(s.scanner.values(Watched::subject)[0] == "\r\n folded");
    CHECK(s.scanner.lines() == 5);
}

TEST_CASE("a message without body ends at finish") {
    const Scan s = scan({"Subject: x\r\nFrom: a@b"});
    CHECK(s.scanner.status() == HeaderScanner::Status::body);
    CHECK(s.scanner.values(Watched::from)[0] == " a@b");
    CHECK(s.scanner.fields()[1].end == 21);
    CHECK(scan({"Subj"}).scanner.flags().malformed_line);
    CHECK(scan({""}).scanner.status() == HeaderScanner::Status::body);
    CHECK(scan({"\r\nbody"}).header_bytes == 2);
}

TEST_CASE("NUL in a header is flagged, in names and in values") {
    CHECK(scan({std::string_view("Fr\0om: a\r\n\r\n", 12)}).scanner.flags().nul);
    CHECK(scan({std::string_view("From: a\0\r\n\r\n", 12)}).scanner.flags().nul);
}

TEST_CASE("D1: 100,000 From fields end at the line limit") {
    std::string text;
    for (int i = 0; i < 100'000; ++i)
        text.append("From: a@b\r\n");
    const Scan s = scan({text});
    CHECK(s.scanner.status() == HeaderScanner::Status::too_large);
    CHECK(s.scanner.lines() == limits::header_lines_max);
    CHECK(s.scanner.fields().size() == 2);
}

TEST_CASE("the byte limit holds at any split") {
    const std::string text = cat("A: ", std::string(limits::header_bytes_max, 'x'));
    for (const size_t step : {text.size(), size_t{1000}, size_t{4096}}) {
        HeaderScanner scanner;
        size_t taken = 0;
        for (size_t at = 0; at < text.size(); at += step) {
            taken += scanner.feed(std::string_view(text).substr(at, step));
        }
        CHECK(scanner.status() == HeaderScanner::Status::too_large);
        CHECK(taken == limits::header_bytes_max);
    }
    // Exactly at the limit is fine.
    std::string fits = cat("A: ", std::string(limits::header_bytes_max - 7, 'x'), "\r\n\r\n");
    CHECK(scan({fits}).scanner.status() == HeaderScanner::Status::body);
}

TEST_CASE("what is kept is bounded in bytes and in fields") {
    std::string text = cat("From: ", std::string(200'000, 'x'), "\r\n");
    for (int i = 0; i < 5000; ++i)
        text += "Delivered-To:\r\n";
    text += "\r\n";
    const Scan one = scan({text});
    CHECK(one.scanner.kept_incomplete());
    CHECK(one.scanner.fields()[0].truncated);
    CHECK(one.scanner.fields()[0].value.size() <= limits::header_kept_bytes);
    CHECK(one.scanner.fields()[0].end == 200'008);
    const Scan many = scan({std::string_view(text).substr(200'008)});
    CHECK(many.scanner.kept_incomplete());
    CHECK(many.scanner.count(Watched::delivered_to) == 5000);
    CHECK(many.scanner.fields().size() * sizeof(KeptField) <= limits::header_kept_bytes);
}

#include "common/mime/decode.h"

#include "common/base/text.h"
#include "common/mime/charset.h"

#include <catch2/catch.hpp>

using namespace std::string_literals;
using namespace tambo;
using namespace tambo::mime;

namespace {

template <class Codec>
std::string in_steps(std::string_view in, size_t step) {
    Codec codec;
    std::string out;
    for (size_t at = 0; at < in.size(); at += step)
        codec.feed(in.substr(at, step), out);
    codec.finish(out);
    return out;
}

template <class Codec>
std::string whole(std::string_view in) {
    return in_steps<Codec>(in, in.size() + 1);
}

// The same result whole, at each split, and byte by byte.
template <class Codec>
void same_at_every_split(std::string_view in) {
    const std::string expected = whole<Codec>(in);
    for (size_t i = 0; i <= in.size(); ++i) {
        Codec codec;
        std::string out;
        codec.feed(in.substr(0, i), out);
        codec.feed(in.substr(i), out);
        codec.finish(out);
        CHECK(out == expected);
    }
    CHECK(in_steps<Codec>(in, 1) == expected);
}

struct Charset {
    static inline std::string name;
    CharsetDecoder decoder{name};
    void feed(std::string_view in, std::string& out) { decoder.feed(in, out); }
    void finish(std::string& out) { decoder.finish(out); }
};

} // namespace

TEST_CASE("quoted-printable: RFC 2045 and what is not in it") {
    const auto qp = [](std::string_view in) { return decode_body(Encoding::quoted_printable, in); };
    CHECK(qp("Now's the time =\r\nfor all folk to come=\r\n to the aid") ==
          "Now's the time for all folk to come to the aid");
    CHECK(qp("caf=C3=A9=3d=0D=0A") == "caf\xc3\xa9=\r\n");
    CHECK(qp("a=e9 \t\r\nb  \nc  ") == "a\xe9\r\nb\nc");
    CHECK(qp("soft=  \t\r\nbreak=\nend=") == "softbreakend");
    CHECK(qp("bad =X =4 =4G =") == "bad =X =4 =4G ");
    CHECK(qp("==3D=\r\r\n") == "==\r\n");
    CHECK(qp("tail=A") == "tail=A");
    CHECK(qp("\xff raw 8-bit") == "\xff raw 8-bit");
    const std::string blanks(100'000, ' ');
    CHECK(qp(blanks + "x") == blanks + "x");
    for (const std::string in : {"a=C3=A9 \t\r\nb= \r\nc=\nd =X=4=\r\re  f\r\n=", "=", "= ", "=4",
                                 "  \r\n \n \r x=\r\n"}) {
        same_at_every_split<QuotedPrintableDecoder>(in);
    }
}

TEST_CASE("base64: lenient in every way") {
    const auto b64 = [](std::string_view in) { return decode_body(Encoding::base64, in); };
    CHECK(b64("Zm9v\r\nYmFy\r\n") == "foobar");
    CHECK(b64("Zm 9v!Ym-Fy") == "foobar");
    CHECK(b64("Zg==") == "f");
    CHECK(b64("Zm8=") == "fo");
    CHECK(b64("Zg") == "f");
    CHECK(b64("Zm8") == "fo");
    CHECK(b64("Z") == "");
    CHECK(b64("Zg==Zm8=Zm9v") == "ffofoo");
    CHECK(b64("=====") == "");
    same_at_every_split<Base64Decoder>("Zm9v\r\nYm=Fy\r\nZg==Zm8=x");
}

TEST_CASE("encoders keep lines short and give back what went in") {
    std::string bytes;
    for (int i = 0; i < 1000; ++i)
        bytes.push_back(static_cast<char>(i * 7));
    const std::string base64 = whole<Base64Encoder>(bytes);
    CHECK(decode_body(Encoding::base64, base64) == bytes);
    const std::string text = "line one  \r\ncaf\xc3\xa9 = 100% \t\n\ntab\tend \r" +
                             std::string(500, 'x') + std::string(100, '\xe9') + " \r\n.\r\n \r\n";
    const std::string quoted = whole<QuotedPrintableEncoder>(text);
    for (const std::string& encoded : {base64, quoted}) {
        CHECK(is_ascii(encoded));
        for (const auto line : split(encoded, '\n'))
            CHECK(line.size() <= 77); // with CR
    }
    // Line ends are CR LF afterwards; everything else is kept, blanks at line ends too.
    CHECK(decode_body(Encoding::quoted_printable, quoted) ==
          "line one  \r\ncaf\xc3\xa9 = 100% \t\r\n\r\ntab\tend \r" + std::string(500, 'x') +
              std::string(100, '\xe9') + " \r\n.\r\n \r\n");
    same_at_every_split<QuotedPrintableEncoder>(text.substr(0, 60) + " \r \r\n x\r");
    same_at_every_split<Base64Encoder>(bytes.substr(0, 200));
}

TEST_CASE("charsets become UTF-8") {
    CHECK(to_utf8("utf-8", "gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
    CHECK(to_utf8("UTF8", "a\xff\xc3") == "a\xef\xbf\xbd\xef\xbf\xbd");
    CHECK(to_utf8("iso-8859-1", "gr\xfc\xdf \x80") == "gr\xc3\xbc\xc3\x9f \xe2\x82\xac");
    CHECK(to_utf8("windows-1252", "\x93q\x94 \x81") == "\xe2\x80\x9cq\xe2\x80\x9d \xc2\x81");
    CHECK(to_utf8("koi8-r", "\xd0\xd2\xc9\xd7\xc5\xd4") ==
          "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82");
    CHECK(to_utf8("iso-2022-jp", "\x1b$B%F%9%H\x1b(B!") == "\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88!");
    CHECK(to_utf8("gb2312", "\xc4\xe3\xba\xc3") == "\xe4\xbd\xa0\xe5\xa5\xbd");
    CHECK(to_utf8("big5", "\xa7\x41\xa6\x6e") == "\xe4\xbd\xa0\xe5\xa5\xbd");
    CHECK(to_utf8("ks_c_5601-1987", "\xbe\xc8\xb3\xe7") == "\xec\x95\x88\xeb\x85\x95");
    CHECK(to_utf8("utf-16", "\xfe\xff\x00h\x00i"s) == "hi");
    CHECK(to_utf8("utf-16le", "\x3d\xd8\x00\xde"s) == "\xf0\x9f\x98\x80");
    CHECK(to_utf8("iso-8859-15", "\xa4") == "\xe2\x82\xac");
}

TEST_CASE("unknown charsets are guessed, hostile names open nothing") {
    for (const auto* name : {"", "us-ascii", "x-unknown", "nonsense", "../../etc/passwd", "a,b",
                             "ibm-1047,swaplfnl", "utf-8\n", "%s%n"}) {
        CHECK(to_utf8(name, "gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
    }
    CHECK(to_utf8(std::string(100'000, 'x'), "a") == "a");
    CHECK(guess_utf8("gr\xfc\xdf") == "gr\xc3\xbc\xc3\x9f");
    CHECK(guess_utf8("\xf0\x9f") == "\xc3\xb0\xc5\xb8"); // cut UTF-8 is windows-1252
}

TEST_CASE("charset decoding is the same at every split") {
    const std::pair<std::string, std::string> cases[] = {
        {"utf-8", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \xe0\x80 \xed\xa0\x80 \xf4\x90 \xc3"},
        {"", "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 \xe0\x80 \xed\xa0\x80 \xf4\x90 \xe2\x82"},
        {"iso-2022-jp", "x\x1b$B%F%9%H\x1b(By"},
        {"utf-16le", "\x3d\xd8\x00\xde"
                     "a\x00\x3d"s},
        {"gb18030", "\x81\x30\x81\x30\xc4\xe3\xff\x81"},
        {"shift_jis", "\x83\x65\x83\x58\x83\x67\x83"},
    };
    for (const auto& [name, in] : cases) {
        Charset::name = name;
        same_at_every_split<Charset>(in);
        CHECK(is_utf8(whole<Charset>(in)));
    }
}

TEST_CASE("a text decoder takes encoding and charset off") {
    TextDecoder decoder(Encoding::quoted_printable, "iso-8859-1");
    std::string out;
    for (const char c : "gr=FC=DFe =\r\naus K=F6ln"s)
        decoder.feed(std::string_view(&c, 1), out);
    decoder.finish(out);
    CHECK(out == "gr\xc3\xbc\xc3\x9f"
                 "e aus K\xc3\xb6ln");
}

TEST_CASE("code points go to UTF-8 and back") {
    for (const char32_t c :
         {U'\0', U'a', U'\x7f', U'\x80', U'\x7ff', U'\x800', U'\xffff', U'\x10000', U'\x10ffff'}) {
        std::string out;
        append_utf8(out, c);
        CHECK(is_utf8(out));
        CHECK(code_point(out) == c);
    }
}

#include "common/mime/content.h"

#include "common/base/limits.h"
#include "common/base/text.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::mime;

namespace {

// "type/subtype name=value name*=value !ambiguity".
std::string show(const ContentField& field) {
    std::string out = cat(field.type, '/', field.subtype);
    for (const Parameter& p : field.parameters) {
        out += cat(' ', p.name, p.extended ? "*=" : "=", p.value);
    }
    if (field.ambiguity != 0) out += cat(" !", field.ambiguity);
    return out;
}
std::string type(std::string_view raw) {
    return show(parse_content_type(raw));
}
std::string decoded(std::string_view raw, std::string_view name) {
    const ContentField field = parse_content_disposition(raw);
    const Parameter* parameter = field.find(name);
    return parameter == nullptr ? "none" : parameter->decoded();
}

} // namespace

TEST_CASE("content types of RFC 2045") {
    CHECK(type("text/plain; charset=us-ascii (Plain text)") == "text/plain charset=us-ascii");
    CHECK(type(" Text/HTML ;\r\n Charset=\"utf-8\"; format = flowed ;") ==
          "Text/HTML charset=utf-8 format=flowed");
    CHECK(type("multipart/mixed; boundary=\"gc0pJq0M:08jU534c0p\"") ==
          "multipart/mixed boundary=gc0pJq0M:08jU534c0p");
    CHECK(type("a/b; x=\"q\\\"uo\r\n te\\\\\"") == "a/b x=q\"uo te\\");
    CHECK(type("image (c) / (d) png") == "image/png");
    CHECK(type("text/plain;;; a=b;") == "text/plain a=b");
}

TEST_CASE("content types of real mail are read, and marked") {
    CHECK(type("text") == "/ !8");
    CHECK(type("") == "/ !8");
    CHECK(type("text/; charset=x") == "/ charset=x !8");
    CHECK(type("text/plain charset=utf-8") == "text/plain charset=utf-8 !12");
    CHECK(type("text/plain; charset=utf-8 format=flowed") ==
          "text/plain charset=utf-8 format=flowed !4");
    CHECK(type("a/b; name=my file.pdf; x=y") == "a/b name=my file.pdf x=y !4");
    CHECK(type("a/b; boundary=a/b=c?d") == "a/b boundary=a/b=c?d");
    CHECK(type("a/b; boundary=\"open") == "a/b boundary=open !4");
    CHECK(type("a/b; flag; x=1") == "a/b x=1 !4");
    CHECK(type("a/b; =1; x=2") == "a/b x=2 !4");
    CHECK(type("a/b; x=") == "a/b x=");
    CHECK(type("multipart/mixed; boundary=a; boundary=b") == "multipart/mixed boundary=a !2");
    CHECK(type("multipart/mixed; boundary=a; boundary*=utf-8''b") ==
          "multipart/mixed boundary=a boundary*=utf-8''b !2");
    CHECK(type("a/b (open; x=y") == "a/b");
}

TEST_CASE("RFC 2231 examples") {
    CHECK(type("message/external-body; access-type=URL; URL*0=\"ftp://\";\r\n"
               " URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"") ==
          "message/external-body access-type=URL "
          "url=ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar");
    CHECK(type("application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A") ==
          "application/x-stuff title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A");
    const auto field = parse_content_type("application/x-stuff;\r\n"
                                          " title*0*=us-ascii'en'This%20is%20even%20more%20;\r\n"
                                          " title*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n"
                                          " title*2=\"isn't it!\"");
    CHECK(show(field) == "application/x-stuff title*=us-ascii'en'This%20is%20even%20more%20"
                         "%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!");
    CHECK(field.find("title")->decoded() == "This is even more ***fun*** isn't it!");
}

TEST_CASE("continuations in any order, without gaps, of one kind") {
    CHECK(decoded("attachment; filename*1=b; filename*0=a; filename*2=c", "filename") == "abc");
    CHECK(decoded("attachment; filename*0=a; filename*2=c", "filename") == "a");
    CHECK(decoded("attachment; filename*1=b", "filename") == "none");
    CHECK(decoded("attachment; filename*0=a; filename*0=x; filename*1=b", "filename") == "ab");
    CHECK(decoded("attachment; filename*00=a", "filename") == "none");
    CHECK(decoded("attachment; filename*0=a; filename*1*=%C3%A9", "filename") == "a\xc3\xa9");
    CHECK(parse_content_disposition("a; f*0=a; f*2=c").ambiguity == kOddParameter);
    CHECK(parse_content_disposition("a; f*0=a; f*0=c").ambiguity == kRepeatedParameter);
    CHECK(decoded("attachment; filename=plain; filename*=utf-8''f%C3%A9", "filename") ==
          "f\xc3\xa9");
}

TEST_CASE("file names of real mail") {
    CHECK(decoded("attachment; filename=\"=?utf-8?Q?r=C3=A9sum=C3=A9.pdf?=\"", "filename") ==
          "r\xc3\xa9sum\xc3\xa9.pdf");
    CHECK(decoded("attachment; filename=\"r\xc3\xa9sum\xc3\xa9.pdf\"", "filename") ==
          "r\xc3\xa9sum\xc3\xa9.pdf");
    CHECK(decoded("attachment; filename=\"r\xe9sum\xe9.pdf\"", "filename") ==
          "r\xc3\xa9sum\xc3\xa9.pdf");
    CHECK(decoded("attachment; filename*=iso-8859-1''r%E9sum%E9.pdf", "filename") ==
          "r\xc3\xa9sum\xc3\xa9.pdf");
    CHECK(decoded("attachment; filename*=no-quotes%20here", "filename") == "no-quotes here");
    CHECK(decoded("attachment; filename*=utf-8''%zz%4", "filename") == "%zz%4");
    CHECK(decoded("attachment", "filename") == "none");
    CHECK(parse_content_disposition("").type.empty());
    CHECK(encode_parameter("r\xc3\xa9 \"x\"") == "utf-8''r%C3%A9%20%22x%22");
}

TEST_CASE("D4: parameters are bounded") {
    std::string many = "a/b";
    for (int i = 0; i < 100'000; ++i)
        many += cat("; name*", i, "*=x");
    const ContentField field = parse_content_type(many);
    REQUIRE(field.parameters.size() == 1);
    CHECK(field.parameters[0].value == std::string(limits::mime_parameters_max, 'x'));
    CHECK((field.ambiguity & kOddParameter) != 0);
    std::string same = "a/b";
    for (int i = 0; i < 100'000; ++i)
        same += "; name*0*=x";
    CHECK(parse_content_type(same).parameters.size() == 1);
    CHECK(type("a/b; n*999999999999999999999=x") == "a/b n*999999999999999999999=x");
    CHECK(parse_content_type("a/b" + std::string(1'000'000, ';')).parameters.empty());
    CHECK(parse_content_type("a/b; x=" + std::string(500'000, '(')).parameters.size() == 1);
    std::string words = "a/b; x=1";
    for (int i = 0; i < 100'000; ++i)
        words += " y";
    CHECK(parse_content_type(words).parameters[0].value.size() == 200'001);
}

TEST_CASE("transfer encodings") {
    const auto of = [](std::string_view raw) { return parse_transfer_encoding(raw); };
    CHECK(of(" base64").encoding == Encoding::base64);
    CHECK(of(" base64").ambiguity == 0);
    CHECK(of(" Quoted-Printable").encoding == Encoding::quoted_printable);
    CHECK(of("8BIT").encoding == Encoding::identity);
    CHECK(of(" x-uuencode").encoding == Encoding::unknown);
    CHECK(parse_transfer_encoding(std::nullopt).token == "7bit");
    CHECK(parse_transfer_encoding(std::nullopt).ambiguity == 0);
    // RULES.md D6: read as base64 by some and as nothing by others.
    for (const auto* odd : {" base64 ", " \"base64\"", " base64;", " base64 (x)", "\r\n base64",
                            " base64, 7bit", " base 64", " "}) {
        CHECK(of(odd).ambiguity == kOddEncoding);
    }
    CHECK(of(" base64 (x)").encoding == Encoding::base64);
}

TEST_CASE("D5: a content type cut anywhere") {
    const std::string whole = "a/b; x*0*=utf-8'en'%C3%A9; x*1=\"q\\\"\"; y=z (c (d)) ; w=\"";
    for (size_t i = 0; i <= whole.size(); ++i) {
        const std::string cut(whole, 0, i);
        for (const Parameter& p : parse_content_type(cut).parameters)
            CHECK(is_utf8(p.decoded()));
    }
}

#include "common/mime/imap_text.h"

#include "common/base/limits.h"
#include "common/base/text.h"

#include <catch2/catch.hpp>

using namespace std::string_literals;
using namespace tambo;
using namespace tambo::mime;

namespace {

constexpr ImapForm kUtf8{true, true};

std::string envelope(std::string_view header, const ImapForm& form = {}) {
    return envelope_text(Header::parse(header), form);
}
std::string body(std::string_view message) {
    const MessageView view(message);
    return body_text(view, parse_structure(view));
}
std::string structure(std::string_view message, const ImapForm& form = {}) {
    const MessageView view(message);
    return bodystructure_text(view, parse_structure(view), form);
}
std::string string(std::string_view text, const ImapForm& form = {}) {
    std::string out;
    append_imap_string(out, text, form);
    return out;
}

// Parentheses and literals of an IMAP value balance, and all is ASCII without NUL.
bool well_formed(std::string_view text) {
    int depth = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\0' || is_8bit(text[i])) return false;
        if (text[i] == '(') ++depth;
        if (text[i] == ')' && --depth < 0) return false;
        if (text[i] == '\r' || text[i] == '\n') return false;
        if (text[i] == '"') {
            for (++i; i < text.size() && text[i] != '"'; ++i) {
                if (text[i] == '\\') ++i;
            }
            if (i >= text.size()) return false;
        }
        if (text[i] == '{') {
            const size_t close = text.find("}\r\n", i);
            if (close == std::string_view::npos) return false;
            const auto size = parse_uint(text.substr(i + 1, close - i - 1));
            if (!size || close + 3 + *size > text.size()) return false;
            i = close + 2 + *size;
        }
    }
    return depth == 0;
}

} // namespace

TEST_CASE("strings: quoted, literal, never NUL") {
    CHECK(string("") == "\"\"");
    CHECK(string("a \"b\" \\c") == "\"a \\\"b\\\" \\\\c\"");
    CHECK(string("a\r\nb") == "{4}\r\na\r\nb");
    CHECK(string("a\0b"s) == "\"ab\"");
    CHECK(string(std::string(2000, 'x')) == cat("{2000}\r\n", std::string(2000, 'x')));
    CHECK(string("caf\xc3\xa9") == "\"=?utf-8?Q?caf=C3=A9?=\"");
    CHECK(string("caf\xe9") == "\"=?utf-8?Q?caf=C3=A9?=\"");
    CHECK(string("caf\xc3\xa9", kUtf8) == "\"caf\xc3\xa9\"");
    CHECK(string("caf\xe9", kUtf8) == "\"caf\xc3\xa9\"");
}

TEST_CASE("the envelope of RFC 9051 section 8") {
    CHECK(envelope("Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
                   "From: Terry Gray <gray@cac.washington.edu>\r\n"
                   "Subject: IMAP4rev2 WG mtg summary and minutes\r\n"
                   "To: imap@cac.washington.edu\r\n"
                   "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
                   "Message-Id: <B27397-0100000@cac.washington.ed>\r\n"
                   "MIME-Version: 1.0\r\n\r\n") ==
          "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" "
          "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
          "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
          "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
          "((NIL NIL \"imap\" \"cac.washington.edu\")) "
          "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")"
          "(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
          "\"<B27397-0100000@cac.washington.ed>\")");
}

TEST_CASE("NIL, empty, defaults, groups, routes") {
    CHECK(envelope("") == "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    CHECK(envelope("Subject:\r\nDate: \r\nTo:\r\nMessage-ID:\r\n\r\n") ==
          "(\"\" \"\" NIL NIL NIL NIL NIL NIL NIL \"\")");
    CHECK(envelope("From: a@b\r\nSender: c@d\r\nReply-To:\r\n\r\n") ==
          "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"c\" \"d\")) ((NIL NIL \"a\" \"b\")) "
          "NIL NIL NIL NIL NIL)");
    CHECK(envelope("To: A: x@y, z@w;, <@r,@s:\"q p\"@t>\r\nTo: second@to\r\nFrom: a@b\r\n"
                   "From: evil@b\r\n\r\n") ==
          "(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
          "((NIL NIL \"A\" NIL)(NIL NIL \"x\" \"y\")(NIL NIL \"z\" \"w\")(NIL NIL NIL NIL)"
          "(NIL \"@r,@s\" \"q p\" \"t\")(NIL NIL \"second\" \"to\")) NIL NIL NIL NIL)");
    CHECK(envelope("To: root, <>, @d\r\nIn-Reply-To: <a>\r\n <b>\r\n\r\n") ==
          "(NIL NIL NIL NIL NIL ((NIL NIL \"root\" \"MISSING_DOMAIN\")"
          "(NIL NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\")(NIL NIL \"MISSING_MAILBOX\" \"d\")) "
          "NIL NIL \"<a> <b>\" NIL)");
}

TEST_CASE("headers with 8-bit bytes: ASCII for everybody, UTF-8 for who asked") {
    const std::string header = "Subject: =?utf-8?Q?gr=C3=BC?= gr\xc3\xbc\r\n"
                               "From: \"J\xc3\xb6rg\" <j@b\xc3\xbc"
                               "cher.example>\r\n"
                               "To: j\xc3\xb6rg@b\xc3\xbc"
                               "cher.example, J <j\xc3\xb6@x>\r\n\r\n";
    CHECK(envelope(header) == "(NIL \"=?utf-8?Q?gr=C3=BC_gr=C3=BC?=\" "
                              "((\"=?utf-8?Q?J=C3=B6rg?=\" NIL \"j\" \"xn--bcher-kva.example\")) "
                              "((\"=?utf-8?Q?J=C3=B6rg?=\" NIL \"j\" \"xn--bcher-kva.example\")) "
                              "((\"=?utf-8?Q?J=C3=B6rg?=\" NIL \"j\" \"xn--bcher-kva.example\")) "
                              "((\"=?utf-8?Q?j=C3=B6rg=40b=C3=BCcher=2Eexample?=\" NIL \"invalid\" "
                              "\"internationalized-address.invalid\")"
                              "(\"=?utf-8?Q?J_=3Cj=C3=B6=40x=3E?=\" NIL \"invalid\" "
                              "\"internationalized-address.invalid\")) NIL NIL NIL NIL)");
    CHECK(envelope(header, kUtf8) == "(NIL \"=?utf-8?Q?gr=C3=BC?= gr\xc3\xbc\" "
                                     "((\"J\xc3\xb6rg\" NIL \"j\" \"b\xc3\xbc"
                                     "cher.example\")) "
                                     "((\"J\xc3\xb6rg\" NIL \"j\" \"b\xc3\xbc"
                                     "cher.example\")) "
                                     "((\"J\xc3\xb6rg\" NIL \"j\" \"b\xc3\xbc"
                                     "cher.example\")) "
                                     "((NIL NIL \"j\xc3\xb6rg\" \"b\xc3\xbc"
                                     "cher.example\")(\"J\" NIL \"j\xc3\xb6\" \"x\")) "
                                     "NIL NIL NIL NIL)");
}

TEST_CASE("BODYSTRUCTURE of simple messages") {
    CHECK(structure("") == "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 "
                           "NIL NIL NIL NIL)");
    CHECK(body("Subject: x\r\n\r\na\r\nb\r\n") ==
          "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 6 2)");
    CHECK(structure("Content-Type: TEXT/HTML; Charset=\"utf-8\"\r\n"
                    "Content-Transfer-Encoding: QUOTED-PRINTABLE\r\nContent-ID: <x@y>\r\n"
                    "Content-Description: what \"it\" is\r\nContent-MD5: Q2hlY2s=\r\n"
                    "Content-Disposition: inline; filename=a.html; size=3\r\n"
                    "Content-Language: de, en-US\r\nContent-Location: http://x/\r\n\r\nabc") ==
          "(\"TEXT\" \"HTML\" (\"charset\" \"utf-8\") \"<x@y>\" \"what \\\"it\\\" is\" "
          "\"QUOTED-PRINTABLE\" 3 1 \"Q2hlY2s=\" (\"inline\" (\"filename\" \"a.html\" \"size\" "
          "\"3\")) (\"de\" \"en-US\") \"http://x/\")");
    CHECK(structure("Content-Type: image/png\r\nContent-Language: de\r\n"
                    "Content-Disposition: attachment\r\n\r\n") ==
          "(\"image\" \"png\" NIL NIL NIL \"7bit\" 0 NIL (\"attachment\" NIL) \"de\" NIL)");
}

TEST_CASE("the structure of RFC 3501 7.4.2's example shape") {
    const std::string message =
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\nline\r\nline\r\n--b\r\n"
        "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=cc.diff\r\n"
        "Content-ID: <960723163407.20117h@cac.washington.edu>\r\n"
        "Content-Description: Compiler diff\r\nContent-Transfer-Encoding: BASE64\r\n\r\nQQ==\r\n"
        "--b--\r\n";
    CHECK(body(message) ==
          "((\"TEXT\" \"PLAIN\" (\"charset\" \"US-ASCII\") NIL NIL \"7bit\" 10 2)"
          "(\"TEXT\" \"PLAIN\" (\"charset\" \"US-ASCII\" \"name\" \"cc.diff\") "
          "\"<960723163407.20117h@cac.washington.edu>\" \"Compiler diff\" \"BASE64\" 4 1) "
          "\"mixed\")");
    CHECK(structure(message).ends_with(
        " NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") NIL NIL NIL)"));
}

TEST_CASE("messages in messages, empty multiparts, opaque parts") {
    CHECK(body("Content-Type: message/rfc822\r\n\r\nSubject: in\r\nFrom: a@b\r\n\r\nhi\r\n") ==
          "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 30 (NIL \"in\" ((NIL NIL \"a\" \"b\")) "
          "((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL) "
          "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1) 4)");
    CHECK(body("Content-Type: multipart/mixed; boundary=b\r\n\r\nnothing") ==
          "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")");
    CHECK(structure("Content-Type: message/rfc822; name=x.eml\r\n"
                    "Content-Transfer-Encoding: base64\r\n\r\nQQ==") ==
          "(\"application\" \"octet-stream\" (\"name\" \"x.eml\") NIL NIL \"base64\" 4 NIL NIL NIL "
          "NIL)");
    const std::string global = "Content-Type: message/global\r\n\r\nSubject: x\r\n\r\ny";
    CHECK(body(global) == "(\"message\" \"global\" NIL NIL NIL \"7bit\" 15)");
    CHECK(structure(global, kUtf8).find("(NIL \"x\" NIL") != std::string::npos);
    CHECK(body("Content-Type: text\r\n\r\nx") ==
          "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 1)");
}

TEST_CASE("parameters of RFC 2231 and with 8-bit bytes") {
    const auto disposition = [](std::string_view value, const ImapForm& form) {
        const std::string all = structure(
            cat("Content-Type: a/b\r\nContent-Disposition: attachment; ", value, "\r\n\r\n"), form);
        const size_t at = all.find("(\"attachment\" ") + 14;
        return all.substr(at, all.find("))", at) + 1 - at);
    };
    CHECK(disposition("filename*0=\"a b\"; filename*1=c", {}) == "(\"filename\" \"a bc\")");
    CHECK(disposition("filename*0*=utf-8''%C3%A9; filename*1=c", {}) ==
          "(\"filename*\" \"utf-8''%C3%A9c\")");
    CHECK(disposition("filename=\"r\xc3\xa9\"", {}) == "(\"filename*\" \"utf-8''r%C3%A9\")");
    CHECK(disposition("filename=\"r\xe9\"", {}) == "(\"filename*\" \"utf-8''r%C3%A9\")");
    CHECK(disposition("filename*=iso-8859-1''r%E9", kUtf8) == "(\"filename*\" \"r\xc3\xa9\")");
    CHECK(disposition("filename=\"r\xc3\xa9\"", kUtf8) == "(\"filename\" \"r\xc3\xa9\")");
    CHECK(disposition("filename=\"=?utf-8?Q?r=C3=A9?=\"", {}) ==
          "(\"filename\" \"=?utf-8?Q?r=C3=A9?=\")");
}

TEST_CASE("whatever comes in, what goes out is well-formed IMAP") {
    const std::string hostile =
        "Subject: a\0b\"\\ \r c {5}\r\nFrom: \"q\r\n \"x\" (\\\xff) <a\0\"@\xff>\r\n"
        "To: {3}\r\n abc, (((, \";\r\nContent-Type: multipart/\"x; boundary=b; \xff=\"\r\n\"\r\n"
        "Content-Language: ,,\",\r\nContent-Disposition: \xff;\"\r\n\r\n--b\r\n"
        "Content-Type: message/rfc822; x=\"{9}\r\n\t)\"\r\n\r\nDate: )))((\r\n\r\n--b--"s;
    const std::string_view all = hostile;
    for (size_t i = 0; i <= all.size(); ++i) {
        CHECK(well_formed(structure(all.substr(0, i))));
        CHECK(well_formed(envelope(all.substr(0, i))));
        CHECK(well_formed(body(all.substr(i))));
    }
}

TEST_CASE("D3: BODYSTRUCTURE of a message of depth 10,000") {
    std::string deep;
    for (int i = 0; i < 10'000; ++i)
        deep += "Content-Type: message/rfc822\r\n\r\n";
    const std::string text = structure(deep);
    CHECK(well_formed(text));
    CHECK(text.size() < 100'000);
    CHECK(text.find("\"application\" \"octet-stream\"") != std::string::npos);
}

TEST_CASE("D1: BODYSTRUCTURE of many messages with many authors does not outgrow them for long") {
    std::string many = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    std::string from = "From: ";
    for (int i = 0; i < 9000; ++i)
        from += "a@b,";
    for (int i = 0; i < 40; ++i)
        many += cat("--b\r\nContent-Type: message/rfc822\r\n\r\n", from, "\r\n\r\nx\r\n");
    many += "--b--\r\n";
    for (const std::string& text : {structure(many), body(many)}) {
        CHECK(well_formed(text));
        CHECK(text.size() < limits::mime_structure_bytes + (1u << 20));
        CHECK(text.find("\"octet-stream\"") != std::string::npos);
    }
}

TEST_CASE("D1: an envelope has at most mime_addresses_max addresses of a kind") {
    std::string header;
    for (int i = 0; i < 300; ++i) {
        header += "To: ";
        for (int k = 0; k < 100; ++k)
            header += "a@b,";
        header += "\r\n";
    }
    const std::string text = envelope(header);
    size_t count = 0;
    for (size_t at = text.find("\"a\" \"b\""); at != std::string::npos;
         at = text.find("\"a\" \"b\"", at + 1)) {
        ++count;
    }
    CHECK(count == limits::mime_addresses_max);
}

#include "imapd/session/mutf7.h"

#include <catch2/catch.hpp>

#include <string>

using namespace tambo::imap;

TEST_CASE("mailbox names survive the way through modified UTF-7") {
    const std::pair<const char*, const char*> names[] = {
        {"INBOX", "INBOX"},
        {"~peter/mail/\u53F0\u5317/\u65E5\u672C\u8A9E", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"},
        {"a&b", "a&-b"},
        {"Entw\u00FCrfe", "Entw&APw-rfe"},
        {"\U0001F4EC", "&2D3c7A-"},
        {"\u00E4&\u00E4", "&AOQ-&-&AOQ-"},
        {"", ""},
    };
    for (const auto& [utf8, wire] : names) {
        CHECK(utf8_to_mutf7(utf8) == wire);
        CHECK(mutf7_to_utf8(wire) == utf8);
    }
}

TEST_CASE("only the canonical spelling of a name is a name") {
    const std::string bad[] = {
        "&AC8-",              // '/' in base64
        "&AGEAYg-",           // "ab" in base64
        "&AOQ-&APw-",         // two shifts where one would do
        "&AOQ",               // no end
        "&",                  //
        "&A-",                // less than a character
        "&AOR-",              // bits left over
        "&AOQA-",             // half a character
        "&2D0-",              // lone surrogates
        "&3Ow-",              //
        "&3OzYPQ-",           //
        "&AOQ=-",             //
        "&U/BTFw-",           // '/' instead of ','
        "&AAA-",              // NUL
        "&AAo-",              // LF
        "&AH8-",              // DEL
        "gr\xC3\xBC\xC3\x9F", // raw UTF-8
        std::string("a\0b", 3),
        "a\r\nb",
    };
    for (const auto& name : bad) {
        INFO(name);
        CHECK_FALSE(mutf7_to_utf8(name).has_value());
    }
}

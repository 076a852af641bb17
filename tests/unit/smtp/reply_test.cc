#include "common/smtp/reply.h"

#include "common/smtp/reply_texts.h"

#include <catch2/catch.hpp>

using namespace tambo::smtp;

TEST_CASE("a reply has one line for each line of its text") {
    CHECK(Reply(250, "2.1.0", "ok").wire() == "250 2.1.0 ok\r\n");
    CHECK(Reply(220, "", "mx.example ESMTP").wire() == "220 mx.example ESMTP\r\n");
    CHECK(Reply(250, "", "mx\nPIPELINING\nSIZE 1").wire() ==
          "250-mx\r\n250-PIPELINING\r\n250 SIZE 1\r\n");
    CHECK(Reply(550, "5.1.1", "a\nb").wire() == "550-5.1.1 a\r\n550 5.1.1 b\r\n");
    CHECK(Reply(550, "5.1.1", "").wire() == "550 5.1.1 \r\n");
}

TEST_CASE("no text can leave its line") {
    CHECK(Reply(550, "5.0.0", std::string("a\rb\0c\xC3\xBC\x1b", 8)).wire() ==
          "550 5.0.0 a?b?c???\r\n");
    const std::string wire = Reply(250, "2.0.0", std::string(5000, 'x')).wire();
    CHECK(wire.size() == 512);
    CHECK(wire.ends_with("x\r\n"));
}

TEST_CASE("enhanced codes are three numbers of a known class") {
    for (const auto* good : {"2.0.0", "4.7.1", "5.7.26", "5.7.515", "5.999.999"}) {
        CHECK(is_enhanced_code(good));
    }
    for (const auto* bad : {"", "5", "5.7", "5.7.", "5.7.1.", "5.7.1 ", "3.0.0", "5.07.1",
                            "5.1000.1", "5.7.x", "55.7.1", ".7.1"}) {
        CHECK_FALSE(is_enhanced_code(bad));
    }
}

TEST_CASE("the enhanced codes of the table agree with their codes") {
    for (const ReplyText& r :
         {replies::ok, replies::sender_ok, replies::recipient_ok, replies::line_too_long,
          replies::unknown_parameter, replies::too_many_recipients, replies::bare_line_ends,
          replies::bad_credentials, replies::timed_out, replies::out_of_turn, replies::disk_full,
          replies::encryption_required}) {
        CHECK(is_enhanced_code(r.enhanced));
        CHECK(r.enhanced[0] - '0' == r.code / 100);
        CHECK(Reply(r).refused() == (r.code >= 400));
    }
}

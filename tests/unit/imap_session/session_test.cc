#include "tests/unit/imap_session/harness.h"

using namespace tambo;
using namespace tambo::imap;

TEST_CASE_METHOD(SessionFixture, "a session begins with the answer to the login") {
    auto client = connect("x1");
    client->settle();
    CHECK(client->received == cat("x1 OK [CAPABILITY ", kCapabilities, "] Logged in\r\n"));
    CHECK(client->ask("a NOOP\r\n") == "a OK Completed\r\n");
    CHECK(client->ask("b SELECT INBOX\r\n") == "?");
}

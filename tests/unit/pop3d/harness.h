// POP3 before the login (tests/unit/login has what it shares with the other one).
#pragma once

#include "pop3d/prelogin.h"
#include "tests/unit/login/fixture.h"

namespace tambo::pop3d {

using login::Door;
using login::test::Client;

struct Fixture : login::test::Fixture {
    Fixture() : login::test::Fixture(kProtocol, "pop3") {}
    std::unique_ptr<Client> log_in(std::optional<Client>& session) {
        auto client = login::test::Fixture::log_in("USER alice\r\nPASS secret\r\n", session);
        REQUIRE(client->said() == "+OK send PASS\r\n");
        return client;
    }
};

inline const std::string kGreeting = "+OK mail.example.test Tambo ready\r\n";

} // namespace tambo::pop3d

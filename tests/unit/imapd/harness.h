// IMAP before the login (tests/unit/login has what it shares with the other one).
#pragma once

#include "imapd/prelogin.h"
#include "tests/unit/login/fixture.h"

namespace tambo::imapd {

using login::Door;
using login::test::Client;

struct Fixture : login::test::Fixture {
    Fixture() : login::test::Fixture(kProtocol, "imap") {}
    std::unique_ptr<Client> log_in(std::optional<Client>& session) {
        return login::test::Fixture::log_in("x LOGIN alice secret\r\n", session);
    }
};

inline const std::string kPlainGreeting =
    "* OK [CAPABILITY IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MOVE UNSELECT "
    "SPECIAL-USE CHILDREN LIST-EXTENDED SASL-IR STARTTLS LOGINDISABLED] mail.example.test Tambo "
    "ready\r\n";

} // namespace tambo::imapd

// Plays tests/dialog/imapd_login/*.dlg (the README above that folder has the format).
#include "tests/unit/imapd/harness.h"
#include "tests/unit/login/dialogues.h"

TEST_CASE("dialogues before the login go as they are written, cut anywhere") {
    tambo::imapd::Fixture fixture;
    tambo::login::test::World world(fixture, "imaps");
    tambo::login::test::play_folder("imapd_login", 60, world);
}

// Plays tests/dialog/pop3d_login/*.dlg (the README above that folder has the format).
#include "tests/unit/login/dialogues.h"
#include "tests/unit/pop3d/harness.h"

TEST_CASE("dialogues before the login go as they are written, cut anywhere") {
    tambo::pop3d::Fixture fixture;
    tambo::login::test::World world(fixture, "pop3s");
    tambo::login::test::play_folder("pop3d_login", 40, world);
}

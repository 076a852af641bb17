// Plays tests/dialog/pop3d_login/*.dlg (the README above that folder has the format): what is said
// before the login. Authd refuses whoever tries.
#include "tests/unit/pop3d/harness.h"
#include "tests/unit/transcript.h"

using namespace tambo;
using namespace tambo::pop3d;

namespace {

struct World {
    Fixture fixture;

    std::unique_ptr<Client> connect() { return fixture.connect(); }
    void let_it_read() {
        for (int i = 0; i < 3; ++i)
            turn(fixture.loop);
    }
    static std::string act(const transcript::Step& step) { return cat("what is ", step.verb, '?'); }
};

} // namespace

TEST_CASE("dialogues before the login go as they are written, cut anywhere") {
    const auto dialogs = transcript::read_folder("pop3d_login");
    CHECK(dialogs.size() >= 14);
    World world;
    for (const auto& dialog : dialogs) {
        CHECK(transcript::play_everywhere(dialog, [&](size_t cut) {
                  return transcript::Player<World>(world, cut).play(dialog);
              }) == "");
    }
    CHECK(world.fixture.authd->starts.empty()); // no password was taken
}

// Plays tests/dialog/pop3d/*.dlg (the README above that folder has the format): what is said after
// the login.
#include "tests/unit/pop3_session/harness.h"
#include "tests/unit/transcript.h"
#include "tests/unit/transcript_player.h"

using namespace tambo;
using namespace tambo::pop3;

namespace {

struct World {
    SessionFixture fixture;
    uint64_t deliveries = 0;

    std::unique_ptr<TestClient> connect() { return fixture.connect(); }
    void let_it_read() {
        turn(fixture.loop);
        turn(fixture.loop);
    }
    // @ deliver TEXT: into INBOX
    std::string act(const transcript::Step& step) {
        const auto [what, text] = split_once(step.text, ' ');
        if (step.verb != "@" || what != "deliver") return cat("what is ", step.verb, '?');
        const auto delivery = fixture.delivery(++deliveries, 0, std::string(text));
        return fixture.deliver(delivery).ok() ? "" : "not delivered";
    }
};

std::string play_everywhere(const transcript::Transcript& dialog) {
    return transcript::play_everywhere(dialog, [&](size_t cut) {
        World world;
        return transcript::Player<World>(world, cut).play(dialog);
    });
}

} // namespace

TEST_CASE("dialogues go as they are written, cut anywhere") {
    const auto dialogs = transcript::read_folder("pop3d");
    CHECK((dialogs.size() >= 6 || std::getenv("TAMBO_DIALOG") != nullptr));
    for (const auto& dialog : dialogs)
        CHECK(play_everywhere(dialog) == "");
}

// Plays tests/dialog/imapd/*.dlg (the README above that folder has the format).
#include "tests/unit/imap_session/harness.h"
#include "tests/unit/transcript.h"
#include "tests/unit/transcript_player.h"

#include <optional>

using namespace tambo;
using namespace tambo::imap;

namespace {

struct World {
    SessionFixture fixture;
    uint64_t deliveries = 0;
    bool used = false; // by another play: what is delivered is there

    std::unique_ptr<TestClient> connect() { return fixture.connect(); }
    void let_it_read() {
        turn(fixture.loop);
        turn(fixture.loop);
    }
    // @ deliver TEXT: into INBOX
    std::string act(const transcript::Step& step) {
        const auto [what, text] = split_once(step.text, ' ');
        if (step.verb != "@" || what != "deliver") return cat("what is ", step.verb, '?');
        if (used) return "";
        const auto delivery = fixture.delivery(++deliveries, 0, std::string(text));
        return fixture.deliver(delivery).ok() ? "" : "not delivered";
    }
};

std::string play_everywhere(const transcript::Transcript& dialog) {
    std::optional<World> world;
    return transcript::play_everywhere(dialog, [&](size_t cut) {
        if (!world || !dialog.changes_nothing) world.emplace();
        auto failure = transcript::Player<World>(*world, cut).play(dialog);
        world->used = true;
        return failure;
    });
}

} // namespace

TEST_CASE("dialogues go as they are written, cut anywhere") {
    const auto dialogs = transcript::read_folder("imapd");
    CHECK((dialogs.size() >= 40 || std::getenv("TAMBO_DIALOG") != nullptr));
    for (const auto& dialog : dialogs)
        CHECK(play_everywhere(dialog) == "");
}

// Plays tests/dialog/pop3d_login/*.dlg (the README above that folder has the format): what is said
// before the login. Authd refuses whoever tries.
#include "tests/unit/pop3d/harness.h"
#include "tests/unit/transcript.h"

#include <algorithm>

using namespace tambo;
using namespace tambo::pop3d;

namespace {

struct World {
    World() { fixture.authd->without_answers = ipc::SaslState::refused; }

    Fixture fixture;
    Door door = Door::clear;

    std::unique_ptr<Client> connect() { return fixture.connect(door); }
    void let_it_read() {
        for (int i = 0; i < 3; ++i)
            turn(fixture.loop);
    }
    std::string play(const transcript::Transcript& dialog, size_t cut) {
        door = Door::clear;
        auto& starts = fixture.authd->starts;
        starts.clear();
        auto failure = transcript::Player<World>(*this, cut).play(dialog);
        const bool in_clear =
            std::ranges::any_of(starts, [](const auto& s) { return s.tls.empty(); });
        if (failure.empty() && in_clear) failure = cat(dialog.name, ": a password in clear");
        return failure;
    }
    // @ pop3s: the connections come to that door, and speak no TLS unless the dialogue has it.
    std::string act(const transcript::Step& step) {
        if (step.verb != "@" || step.text != "pop3s") return cat("what is ", step.verb, '?');
        door = Door::tls;
        return "";
    }
};

} // namespace

TEST_CASE("dialogues before the login go as they are written, cut anywhere") {
    const auto dialogs = transcript::read_folder("pop3d_login");
    CHECK((dialogs.size() >= 40 || std::getenv("TAMBO_DIALOG") != nullptr));
    World world;
    for (const auto& dialog : dialogs) {
        CHECK(transcript::play_everywhere(
                  dialog, [&](size_t cut) { return world.play(dialog, cut); }) == "");
    }
}

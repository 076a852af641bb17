// Plays transcripts of what is said before the login. Authd refuses whoever tries.
#pragma once

#include "tests/unit/login/fixture.h"
#include "tests/unit/transcript.h"
#include "tests/unit/transcript_player.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

namespace tambo::login::test {

// Of transcript::Player.
struct World {
    // secret_door: the directive that names the door of TLS.
    World(Fixture& of, std::string_view secret_door) : fixture(of), secret_door_(secret_door) {
        fixture.authd->without_answers = ipc::SaslState::refused;
    }

    Fixture& fixture;
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
    // The connections come to that door, and speak no TLS unless the dialogue has it.
    std::string act(const transcript::Step& step) {
        if (step.verb != "@" || step.text != secret_door_) return cat("what is ", step.verb, '?');
        door = Door::tls;
        return "";
    }

  private:
    std::string_view secret_door_;
};

// All of the folder, cut anywhere.
inline void play_folder(const std::string& folder, size_t at_least, World& world) {
    const auto dialogs = transcript::read_folder(folder);
    CHECK((dialogs.size() >= at_least || std::getenv("TAMBO_DIALOG") != nullptr));
    for (const auto& dialog : dialogs) {
        CHECK(transcript::play_everywhere(
                  dialog, [&](size_t cut) { return world.play(dialog, cut); }) == "");
    }
}

} // namespace tambo::login::test

// Plays transcripts to servers whose loop the test turns by hand.
#pragma once

#include "common/base/text.h"
#include "tests/unit/cuts.h"
#include "tests/unit/transcript.h"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace tambo::transcript {

// World: auto connect() -> unique_ptr<Client>, and std::string act(const Step&) for the verbs that
// are its own ("" or what went wrong). Client: send(bytes), turn_once() -> whether something came,
// kQuietTurns after which nothing more comes, received, closed, start_tls() -> bool.
//
// Nothing is waited for that a later line shows: what came too much stands before the next line
// that is expected, or is there at the end.
template <class World>
class Player {
  public:
    Player(World& world, size_t cut) : world_(world), cut_(cut) {}

    // The first line that went wrong, empty if none did.
    std::string play(const Transcript& transcript) {
        const auto& steps = transcript.steps;
        segment_ = transcript.segment;
        for (size_t i = 0; i < steps.size(); ++i) {
            std::string wrong;
            if (steps[i].is_client()) {
                std::string bytes = steps[i].text;
                while (i + 1 < steps.size() && steps[i + 1].is_client() &&
                       steps[i + 1].client == steps[i].client) {
                    bytes += steps[++i].text;
                }
                wrong = send(steps[i].client, bytes);
            } else {
                wrong = run(steps[i]);
            }
            if (!wrong.empty()) return cat(transcript.name, ':', steps[i].line, ": ", wrong);
        }
        settle_all();
        const auto extra = expect_nothing();
        return extra.empty() ? "" : cat(transcript.name, ": at the end ", extra);
    }

  private:
    using ClientPtr = decltype(std::declval<World>().connect());

    auto& client(int number) {
        auto& slot = clients_.at(static_cast<size_t>(number));
        if (!slot) slot = world_.connect();
        return *slot;
    }

    // Until done() or until nothing comes any more.
    template <class Client, class Done>
    static void wait(Client& client, Done done) {
        for (int quiet = 0; quiet < Client::kQuietTurns && !done(); ++quiet) {
            if (client.turn_once()) quiet = 0;
        }
    }
    void settle_all() {
        for (auto& each : clients_) {
            if (each) wait(*each, [] { return false; });
        }
        answered_ = true;
    }

    std::string run(const Step& step) {
        if (is_about_cuts(step)) return "";
        if (step.verb == "s>" || step.verb == "s~") return expect_line(step);
        if (step.verb == "s+") return expect_bytes(step);
        if (step.verb == "s!") {
            auto& from = client(step.client);
            wait(from, [&from] { return from.closed; });
            return from.closed ? "" : "the connection is still open";
        }
        auto extra = expect_nothing();
        if (!extra.empty()) return extra;
        if (step.verb == "tls" || step.verb == "tls-fails") {
            const bool up = client(step.client).start_tls();
            return up == (step.verb == "tls") ? "" : up ? "TLS came up" : "no TLS";
        }
        return world_.act(step);
    }

    std::string send(int number, std::string_view bytes) {
        auto extra = expect_nothing();
        if (!extra.empty()) return extra;
        for (const auto piece : cuts::pieces(bytes, cut_, segment_)) {
            client(number).send(piece);
            world_.let_it_read();
        }
        answered_ = false;
        return "";
    }

    std::string expect_line(const Step& step) {
        auto& from = client(step.client);
        wait(from, [&from] { return from.received.find("\r\n") != std::string::npos; });
        const auto end = from.received.find("\r\n");
        if (end == std::string::npos) return cat("nothing more, but: ", escape(from.received));
        const std::string line = from.received.substr(0, end);
        from.received.erase(0, end + 2);
        answered_ = true;
        const bool good = step.verb == "s>" ? line == step.text : matches(line, step.text);
        return good ? "" : cat("instead came: ", escape(line));
    }

    std::string expect_bytes(const Step& step) {
        auto& from = client(step.client);
        wait(from, [&] { return from.received.size() >= step.text.size(); });
        if (!from.received.starts_with(step.text)) {
            return cat("instead came: ", escape(from.received, 400));
        }
        from.received.erase(0, step.text.size());
        answered_ = true;
        return "";
    }

    std::string expect_nothing() {
        if (!answered_) settle_all();
        for (auto& each : clients_) {
            if (each && !each->received.empty()) {
                return cat("too much came: ", escape(each->received));
            }
        }
        return "";
    }

    World& world_;
    size_t cut_, segment_ = 0;
    bool answered_ = false; // something came since the last write, or would have
    std::array<ClientPtr, 9> clients_;
};

} // namespace tambo::transcript

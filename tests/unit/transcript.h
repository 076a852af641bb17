// Transcripts of dialogues (tests/dialog/README.md has the format), and a player of them for
// servers whose loop the test turns by hand.
#pragma once

#include "common/base/text.h"
#include "common/sys/file.h"
#include "tests/unit/cuts.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tambo::transcript {

struct Step {
    int line = 0;
    int client = 0;   // of several connections
    std::string verb; // "c>", "s~", "@", "tls", ...
    std::string text; // unescaped; of the client's verbs what is sent
    bool is_client() const { return verb.starts_with('c') && verb.size() == 2; }
};

// \r \n \t \0 \\ and \xHH are bytes; other backslashes stand for themselves.
inline std::string unescape(std::string_view text) {
    constexpr std::string_view kNames = "rnt0\\", kBytes("\r\n\t\0\\", 5);
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
        const auto name = kNames.find(next);
        if (next == 'x') {
            out += from_hex(text.substr(i + 2, 2)).value();
            i += 3;
        } else if (next != '\0' && name != std::string_view::npos) {
            out.push_back(kBytes[name]);
            ++i;
        } else {
            out.push_back(text[i]);
        }
    }
    return out;
}

inline std::string replaced(std::string_view text, std::string_view what, std::string_view by) {
    std::string out;
    for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what)) {
        cat_to(out, cat(text.substr(0, at), by));
        text.remove_prefix(at + what.size());
    }
    return out + std::string(text);
}

inline Step parse_step(std::string_view line, int number) {
    Step step;
    step.line = number;
    if (is_digit(line[0])) {
        step.client = line[0] - '1';
        line.remove_prefix(1);
    }
    const auto [verb, text] = split_once(line, ' ');
    step.verb = verb;
    if (verb == "c*") {
        const auto [count, repeated] = split_once(text, ' ');
        const std::string bytes = unescape(repeated);
        for (uint64_t i = 0; i < parse_uint(count).value(); ++i)
            step.text += bytes;
    } else {
        step.text = unescape(text);
    }
    if (verb == "c>" || verb == "c*") step.text += "\r\n";
    return step;
}

struct Transcript {
    std::string name;
    std::vector<Step> steps;
    size_t longest_write = 0;
    bool cuts = true;            // "@ no-cuts"
    std::set<size_t> uncut = {}; // "@ no-cut-at N"
};

inline void measure(Transcript& transcript) {
    size_t write = 0;
    for (const Step& step : transcript.steps) {
        write = step.is_client() ? write + step.text.size() : 0;
        transcript.longest_write = std::max(transcript.longest_write, write);
        if (step.verb != "@") continue;
        const auto [what, value] = split_once(step.text, ' ');
        if (what == "no-cuts") transcript.cuts = false;
        if (what == "no-cut-at") transcript.uncut.insert(parse_uint(value).value());
    }
}

// One, or as many as it has "@ each" lines, the text of which replaces <each> in the other lines.
inline std::vector<Transcript> parse(std::string name, std::string_view text) {
    constexpr std::string_view kEach = "@ each ";
    std::vector<std::string_view> variants;
    for (const auto line : split(text, '\n')) {
        if (line.starts_with(kEach)) variants.push_back(line.substr(kEach.size()));
    }
    const bool once = variants.empty();
    if (once) variants.push_back({});
    std::vector<Transcript> all;
    for (const auto variant : variants) {
        Transcript& transcript = all.emplace_back();
        transcript.name = once ? name : cat(name, " (", variant, ')');
        int number = 0;
        for (const auto line : split(text, '\n')) {
            ++number;
            if (line.empty() || line[0] == '#' || line.starts_with(kEach)) continue;
            transcript.steps.push_back(parse_step(replaced(line, "<each>", variant), number));
        }
        measure(transcript);
    }
    return all;
}

// All of a folder of tests/dialog, by name.
inline std::vector<Transcript> read_folder(const std::string& folder) {
    std::set<std::filesystem::path> files;
    for (const auto& file :
         std::filesystem::directory_iterator(cat(TAMBO_SOURCE_DIR, "/tests/dialog/", folder))) {
        if (file.path().extension() == ".dlg") files.insert(file.path());
    }
    std::vector<Transcript> all;
    for (const auto& file : files) {
        auto some = parse(file.filename(), read_file(file, 1u << 20));
        std::move(some.begin(), some.end(), std::back_inserter(all));
    }
    return all;
}

// play(cut) plays it once and returns what went wrong.
template <class Play>
std::string play_everywhere(const Transcript& transcript, Play play) {
    if (!transcript.cuts) return play(cuts::kWhole);
    return cuts::everywhere(transcript.longest_write, play, transcript.uncut);
}

// <any> in wanted stands for any text.
inline bool matches(std::string_view line, std::string_view wanted) {
    constexpr std::string_view kAny = "<any>";
    const auto any = wanted.find(kAny);
    if (any == std::string_view::npos) return line == wanted;
    if (!line.starts_with(wanted.substr(0, any))) return false;
    line.remove_prefix(any);
    wanted.remove_prefix(any + kAny.size());
    for (size_t skip = 0; skip <= line.size(); ++skip) {
        if (matches(line.substr(skip), wanted)) return true;
    }
    return false;
}

// World: auto connect() -> unique_ptr<Client>, and std::string act(const Step&) for the verbs that
// are its own ("" or what went wrong). Client: send(bytes), settle(), received, closed,
// start_tls() -> bool.
template <class World>
class Player {
  public:
    Player(World& world, size_t cut) : world_(world), cut_(cut) {}

    // The first line that went wrong, empty if none did.
    std::string play(const Transcript& transcript) {
        const auto& steps = transcript.steps;
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

    std::string run(const Step& step) {
        if (step.verb == "@" && step.text.starts_with("no-cut")) return "";
        if (step.verb == "s>" || step.verb == "s~") return expect(step);
        if (step.verb == "s!") {
            client(step.client).settle();
            return client(step.client).closed ? "" : "the connection is still open";
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
        for (const auto piece : cuts::pieces(bytes, cut_)) {
            client(number).send(piece);
            world_.let_it_read();
        }
        for (auto& each : clients_) {
            if (each) each->settle();
        }
        return "";
    }

    std::string expect(const Step& step) {
        auto& from = client(step.client);
        from.settle();
        const auto end = from.received.find("\r\n");
        if (end == std::string::npos) return cat("nothing more, but: ", escape(from.received));
        const std::string line = from.received.substr(0, end);
        from.received.erase(0, end + 2);
        const bool good = step.verb == "s>" ? line == step.text : matches(line, step.text);
        return good ? "" : cat("instead came: ", escape(line));
    }

    std::string expect_nothing() {
        for (auto& each : clients_) {
            if (!each) continue;
            each->settle();
            if (!each->received.empty()) return cat("too much came: ", escape(each->received));
        }
        return "";
    }

    World& world_;
    size_t cut_;
    std::array<ClientPtr, 9> clients_;
};

} // namespace tambo::transcript

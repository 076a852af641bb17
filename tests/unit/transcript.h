// Transcripts of dialogues: reading them (tests/dialog/README.md has the format), and playing one
// with each of its cuts. transcript_player.h has a player.
#pragma once

#include "common/base/text.h"
#include "common/sys/file.h"
#include "tests/unit/cuts.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
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
    if (verb == "c*" || verb == "s*") {
        const auto [count, repeated] = split_once(text, ' ');
        const std::string once = cat(unescape(repeated), verb == "s*" ? "\r\n" : "");
        for (uint64_t i = 0; i < parse_uint(count).value(); ++i)
            step.text += once;
        if (verb == "s*") step.verb = "s+";
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
    size_t segment = 0;           // "@ segments N"
    bool cuts = true;             // "@ no-cuts"
    bool changes_nothing = false; // "@ changes-nothing"
    std::set<size_t> uncut = {};  // "@ no-cut-at N"
};

// Directives of the transcript itself, which no player runs.
inline bool is_about_cuts(const Step& step) {
    return step.verb == "@" && (step.text.starts_with("no-cut") || step.text == "changes-nothing" ||
                                step.text.starts_with("segments "));
}

inline void measure(Transcript& transcript) {
    size_t write = 0;
    for (const Step& step : transcript.steps) {
        write = step.is_client() ? write + step.text.size() : 0;
        transcript.longest_write = std::max(transcript.longest_write, write);
        if (step.verb != "@") continue;
        const auto [what, value] = split_once(step.text, ' ');
        if (what == "no-cuts") transcript.cuts = false;
        if (what == "changes-nothing") transcript.changes_nothing = true;
        if (what == "no-cut-at") transcript.uncut.insert(parse_uint(value).value());
        if (what == "segments") transcript.segment = parse_uint(value).value();
    }
    if (transcript.segment != 0) {
        transcript.longest_write = std::min(transcript.longest_write, transcript.segment);
    }
}

// What one of the "@ each" lines and the "@ reply" below it say.
struct Variant {
    std::string_view each, reply;
};

inline std::vector<Variant> variants_of(std::string_view text) {
    constexpr std::string_view kEach = "@ each ", kReply = "@ reply ";
    std::vector<Variant> variants;
    for (const auto line : split(text, '\n')) {
        if (line.starts_with(kEach)) variants.push_back({line.substr(kEach.size()), {}});
        if (line.starts_with(kReply)) variants.back().reply = line.substr(kReply.size());
    }
    return variants;
}

// One, or as many as it has "@ each" lines, the text of which replaces <each> in the other lines.
inline std::vector<Transcript> parse(std::string name, std::string_view text) {
    auto variants = variants_of(text);
    const bool once = variants.empty();
    if (once) variants.push_back({});
    std::vector<Transcript> all;
    for (const auto& variant : variants) {
        Transcript& transcript = all.emplace_back();
        transcript.name = once ? name : cat(name, " (", variant.each.substr(0, 60), ')');
        int number = 0;
        for (const auto line : split(text, '\n')) {
            ++number;
            const bool of_variants = line.starts_with("@ each ") || line.starts_with("@ reply ");
            if (line.empty() || line[0] == '#' || of_variants) continue;
            const auto with_each = replaced(line, "<each>", variant.each);
            const auto whole = replaced(with_each, "<reply>", variant.reply);
            transcript.steps.push_back(parse_step(whole, number));
        }
        measure(transcript);
    }
    return all;
}

// All of a folder of tests/dialog, by name. TAMBO_DIALOG=TEXT: only those whose names contain it.
inline std::vector<Transcript> read_folder(const std::string& folder) {
    const char* wanted = std::getenv("TAMBO_DIALOG");
    std::set<std::filesystem::path> files;
    for (const auto& file :
         std::filesystem::directory_iterator(cat(TAMBO_SOURCE_DIR, "/tests/dialog/", folder))) {
        const std::string name = file.path().filename();
        const bool asked = wanted == nullptr || name.find(wanted) != std::string::npos;
        if (asked && name.ends_with(".dlg")) files.insert(file.path());
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

} // namespace tambo::transcript

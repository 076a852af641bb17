// Runs tests/dialog/imapd/*.dlg (the README there has the format).
#include "tests/unit/imap_session/harness.h"

#include "common/sys/file.h"

#include <algorithm>
#include <array>

using namespace tambo;
using namespace tambo::imap;

namespace {

struct Step {
    size_t line = 0;
    int client = 0;
    std::string kind; // "c>", "s~", "@deliver", ...
    std::string text;
};

std::string unescape(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        const char next = i + 1 < text.size() ? text[i + 1] : '\0';
        if (text[i] != '\\' || std::string_view("rn0x").find(next) == std::string_view::npos ||
            next == '\0') {
            out.push_back(text[i]);
            continue;
        }
        ++i;
        if (next == 'x') {
            out.append(from_hex(text.substr(i + 1, 2)).value());
            i += 2;
        } else {
            out.push_back(next == 'r' ? '\r' : next == 'n' ? '\n' : '\0');
        }
    }
    return out;
}

std::vector<Step> read_steps(const std::string& path) {
    std::vector<Step> steps;
    const std::string text = read_file(path, 1u << 20);
    size_t number = 0;
    for (auto line : split(text, '\n')) {
        ++number;
        if (line.empty() || line.starts_with('#')) continue;
        Step step;
        step.line = number;
        if (is_digit(line[0])) {
            step.client = line[0] - '1';
            line.remove_prefix(1);
        }
        const auto [kind, rest] = split_once(line, ' ');
        step.kind = kind;
        step.text = unescape(rest);
        steps.push_back(std::move(step));
    }
    return steps;
}

bool matches(std::string_view line, std::string_view wanted) {
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

// cut: where each piece of input is cut in two; 0: not at all; -1: everywhere.
class Runner {
  public:
    Runner(SessionFixture& fixture, int cut) : fixture_(fixture), cut_(cut) {}

    // The first line that went wrong, empty if none did.
    std::string run(const std::vector<Step>& steps) {
        for (const Step& step : steps) {
            const auto wrong = run_step(step);
            if (!wrong.empty()) return cat("line ", step.line, ": ", wrong);
        }
        return expect_nothing();
    }

  private:
    TestClient& client(int number) {
        auto& slot = clients_.at(static_cast<size_t>(number));
        if (!slot) slot = fixture_.connect();
        return *slot;
    }

    std::string run_step(const Step& step) {
        if (step.kind == "s>" || step.kind == "s~") return expect(step);
        if (step.kind == "s!") {
            client(step.client).settle();
            return client(step.client).closed ? "" : "the connection is still open";
        }
        const auto extra = expect_nothing();
        if (!extra.empty()) return extra;
        if (step.kind == "@deliver") {
            const auto delivery = fixture_.delivery(++deliveries_, 0, step.text);
            return fixture_.deliver(delivery).ok() ? "" : "not delivered";
        }
        send(client(step.client), step.kind == "c>" ? step.text + "\r\n" : step.text);
        return step.kind.starts_with("c") ? "" : "what is this?";
    }

    void send(TestClient& to, std::string_view bytes) {
        while (!bytes.empty()) {
            size_t count = bytes.size();
            if (cut_ < 0) count = 1;
            if (cut_ > 0) count = std::min(count, static_cast<size_t>(cut_));
            to.send(bytes.substr(0, count));
            bytes.remove_prefix(count);
            turn(fixture_.loop);
            turn(fixture_.loop);
            if (cut_ >= 0 && count == static_cast<size_t>(cut_)) {
                to.send(bytes);
                break;
            }
        }
        for (auto& each : clients_) {
            if (each) each->settle();
        }
    }

    std::string expect(const Step& step) {
        TestClient& from = client(step.client);
        from.settle();
        const auto end = from.received.find("\r\n");
        if (end == std::string::npos) return cat("nothing more, but: ", from.received);
        const std::string line = from.received.substr(0, end);
        from.received.erase(0, end + 2);
        const bool good = step.kind == "s>" ? line == step.text : matches(line, step.text);
        return good ? "" : cat("instead came: ", line);
    }

    std::string expect_nothing() {
        for (auto& each : clients_) {
            if (!each) continue;
            each->settle();
            if (!each->received.empty()) return cat("too much came: ", each->received);
        }
        return "";
    }

    SessionFixture& fixture_;
    int cut_;
    uint64_t deliveries_ = 0;
    std::array<std::unique_ptr<TestClient>, 9> clients_;
};

std::vector<std::string> dialogs() {
    std::vector<std::string> paths;
    for (const auto& file :
         std::filesystem::directory_iterator(cat(TAMBO_SOURCE_DIR, "/tests/dialog/imapd"))) {
        if (file.path().extension() == ".dlg") paths.push_back(file.path());
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

std::string run_dialog(const std::vector<Step>& steps, int cut) {
    SessionFixture fixture;
    Runner runner(fixture, cut);
    return runner.run(steps);
}

} // namespace

TEST_CASE("dialogs: whole and byte by byte") {
    const auto paths = dialogs();
    CHECK(paths.size() >= 10);
    for (const auto& path : paths) {
        const auto steps = read_steps(path);
        for (const int cut : {0, -1}) {
            INFO(path << " cut " << cut);
            CHECK(run_dialog(steps, cut) == "");
        }
    }
}

TEST_CASE("dialogs: cut in two at every place") {
    for (const auto& path : dialogs()) {
        const auto steps = read_steps(path);
        size_t longest = 0;
        for (const Step& step : steps) {
            if (step.kind.starts_with("c")) longest = std::max(longest, step.text.size());
        }
        for (size_t cut = 1; cut <= std::min<size_t>(longest + 1, 60); ++cut) {
            INFO(path << " cut " << cut);
            CHECK(run_dialog(steps, static_cast<int>(cut)) == "");
        }
    }
}

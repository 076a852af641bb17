#include "tests/unit/smtpd/dialog.h"

#include "common/net/stream.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <set>

namespace tambo::smtpd::test {

namespace {

constexpr size_t kNowhere = std::string::npos;

std::string unescape(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out.push_back(text[i]);
            continue;
        }
        const char kind = text[++i];
        if (kind == 'x') {
            out += from_hex(text.substr(i + 1, 2)).value_or("?");
            i += 2;
        } else {
            out.push_back(kind == 'r' ? '\r' : kind == 'n' ? '\n' : kind == 't' ? '\t' : kind);
        }
    }
    return out;
}

bool is_client(const Step& step) {
    return step.verb.starts_with("c");
}

struct Failure {
    std::string text;
};

class Player {
  public:
    Player(World& world, const Dialog& dialog, size_t cut)
        : world_(world), dialog_(dialog), cut_(cut) {}

    task<> play(std::string& failure) {
        try {
            co_await run();
        } catch (const Failure& f) {
            failure = cat(dialog_.name, ":", line_, ": ", f.text);
        } catch (const std::exception& e) {
            failure = cat(dialog_.name, ":", line_, ": ", e.what());
        }
    }

  private:
    task<> run() {
        Door door = Door::smtp;
        std::string ip = "127.0.0.1";
        uint32_t uid = 1000;
        for (const Step& step : dialog_.steps) {
            if (step.verb != "@") continue;
            line_ = step.line;
            prepare(step.text, door, ip, uid);
        }
        if (door == Door::local) ip.clear();
        client_ =
            std::make_unique<net::Stream>(world_.nursery, world_.connect(door, ip, uid), 5000);
        for (const Step& step : dialog_.steps) {
            line_ = step.line;
            if (is_client(step)) {
                unsent_ += step.text;
                continue;
            }
            co_await send();
            co_await check_step(step);
        }
        co_await send();
    }

    void prepare(std::string_view text, Door& door, std::string& ip, uint32_t& uid) {
        const auto [what, rest] = split_once(text, ' ');
        if (what == "submission") door = Door::submission;
        if (what == "submissions") door = Door::submissions;
        if (what == "local") door = Door::local;
        if (what == "peer") ip = rest;
        if (what == "uid") uid = static_cast<uint32_t>(parse_uint(rest).value_or(0));
        if (what == "set") set(rest);
    }

    void set(std::string_view text) {
        const auto [key, value] = split_once(text, ' ');
        const auto number = static_cast<int64_t>(parse_uint(value).value_or(0));
        auto& config = world_.service.config;
        auto& pace = world_.service.pace;
        if (key == "message_size_max") config.message_size_max = number;
        if (key == "recipients_max") config.recipients_max = number;
        if (key == "greeting_wait") config.greeting_wait_ms = number;
        if (key == "limits_on_loopback") config.limits_on_loopback = number != 0;
        if (key == "command_ms") pace.command_ms = number;
        if (key == "data_grace_ms") pace.data_grace_ms = number;
        if (key == "no_tls") world_.service.tls.reset();
        if (key == "disk_full") world_.fake_queued.disk_full = true;
        if (key == "broken_disk") world_.fake_queued.broken_disk = true;
        if (key == "refuse_commit") world_.fake_queued.refuse_commit = true;
        if (key == "not_admitted") world_.fake_authd.admit = false;
        if (key == "auth_throttled") world_.fake_authd.throttled = true;
    }

    // One write, or two with a pause in which the server sees the first.
    task<> send() {
        const std::string bytes = std::exchange(unsent_, {});
        if (bytes.empty()) co_return;
        const bool cut_here = cut_ != kNowhere && cut_ > sent_ && cut_ < sent_ + bytes.size();
        const size_t first = cut_here ? cut_ - sent_ : bytes.size();
        sent_ += bytes.size();
        client_->put(std::string_view(bytes).substr(0, first));
        co_await client_->flush();
        if (first == bytes.size()) co_return;
        for (int i = 0; i < 4; ++i)
            co_await sleep_ms(world_.nursery, 0);
        client_->put(std::string_view(bytes).substr(first));
        co_await client_->flush();
    }

    task<> check_step(const Step& step) {
        if (step.verb == "s>" || step.verb == "s~") {
            auto line = co_await client_->read_line(4096);
            const bool good = step.verb == "s>" ? line == step.text : line.starts_with(step.text);
            if (!good) throw Failure{cat("got \"", escape(line), "\", not \"", step.text, '"')};
        } else if (step.verb == "tls" || step.verb == "tls-fails") {
            co_await start_tls(step.verb == "tls");
        } else if (step.verb == "closed" || step.verb == "closed-or-alert") {
            co_await expect_close(step.verb == "closed-or-alert");
        } else if (step.verb != "@") {
            check_stored(step);
        }
    }

    task<> start_tls(bool expected) {
        const TlsContext context = client_tls();
        const TlsPeer peer{"mx.example", {}};
        bool good = true;
        try {
            co_await client_->start_tls_client(context, peer);
        } catch (const Closed&) {
            good = false;
        } catch (const net::TlsError&) {
            good = false;
        }
        if (good != expected) throw Failure{good ? "TLS came up" : "no TLS"};
    }

    // An alert: a TLS record of type 21.
    task<> expect_close(bool may_alert) {
        std::string rest;
        try {
            for (;;) {
                auto bytes = co_await client_->read_some(4096);
                rest += bytes;
            }
        } catch (const Closed&) {
            if (may_alert && rest.starts_with('\x15')) rest.clear();
            if (!rest.empty()) throw Failure{cat("said \"", escape(rest), "\" before closing")};
        }
    }

    void check_stored(const Step& step) {
        const auto& stored = world_.fake_queued.stored;
        if (step.verb == "messages") {
            if (parse_uint(step.text) != stored.size()) {
                throw Failure{cat("messages: ", stored.size())};
            }
            return;
        }
        if (stored.empty()) throw Failure{"no message"};
        const Stored& last = stored.back();
        std::string to;
        for (const auto& r : last.recipients)
            to += (to.empty() ? "" : " ") + r;
        const std::string got = step.verb == "body"      ? last.body
                                : step.verb == "prefix~" ? last.envelope.prefix
                                : step.verb == "from"    ? last.envelope.reverse_path
                                                         : to;
        const bool good =
            step.verb == "prefix~" ? got.find(step.text) != std::string::npos : got == step.text;
        if (!good) throw Failure{cat(step.verb, " is \"", escape(got, 4000), '"')};
    }

    World& world_;
    const Dialog& dialog_;
    size_t cut_;
    size_t sent_ = 0;
    int line_ = 0;
    std::string unsent_;
    std::unique_ptr<net::Stream> client_;
};

void add_line(Dialog& dialog, std::string_view line, int number) {
    const auto [verb, text] = split_once(line, ' ');
    Step step{std::string(verb), unescape(text), number};
    if (verb == "c*") {
        const auto [count, repeated] = split_once(text, ' ');
        step.text.clear();
        for (uint64_t i = 0; i < parse_uint(count).value_or(0); ++i) {
            step.text += unescape(repeated);
        }
    }
    if (verb == "c>" || verb == "c*") step.text += "\r\n";
    if (verb == "@" && text == "no-cuts") dialog.cuts = false;
    dialog.steps.push_back(std::move(step));
    if (!is_client(dialog.steps.back())) return;
    dialog.client_bytes += dialog.steps.back().text.size();
}

} // namespace

Dialog parse_dialog(std::string name, std::string_view text) {
    Dialog dialog;
    dialog.name = std::move(name);
    int number = 0;
    for (const auto line : split(text, '\n')) {
        ++number;
        if (!line.empty() && line[0] != '#') add_line(dialog, line, number);
    }
    return dialog;
}

namespace {

Role role_of(const Dialog& dialog) {
    for (const Step& step : dialog.steps) {
        const auto what = split_once(step.text, ' ').first;
        if (step.verb == "@" && (what.starts_with("submission") || what == "local")) {
            return Role::submission;
        }
    }
    return Role::mx;
}

// One connection; returns "" or what went wrong and where. cut: the client's bytes are written in
// two pieces, the second of which begins with this one, counted over the whole dialogue.
std::string play_once(World& world, const Dialog& dialog, size_t cut) {
    world.fake_queued.stored.clear();
    std::string failure;
    {
        Player player(world, dialog, cut);
        world.run(player.play(failure));
    }
    if (!failure.empty() && cut != kNowhere) failure += cat(" (cut at ", cut, ')');
    return failure;
}

} // namespace

std::string play_everywhere(const Dialog& dialog) {
    World world(role_of(dialog));
    std::string failure = play_once(world, dialog, kNowhere);
    if (!dialog.cuts) return failure;
    for (size_t cut = 1; cut < dialog.client_bytes && failure.empty(); ++cut) {
        if (cut > 4096 && cut % (dialog.client_bytes / 64 + 1) != 0) continue;
        failure = play_once(world, dialog, cut);
    }
    return failure;
}

} // namespace tambo::smtpd::test

using namespace tambo;
using namespace tambo::smtpd::test;

TEST_CASE("dialogues go as they are written, cut anywhere") {
    const std::filesystem::path folder =
        std::filesystem::path(TAMBO_SOURCE_DIR) / "tests/dialog/smtpd";
    std::set<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        files.insert(entry.path());
    }
    CHECK(files.size() >= 60);
    for (const auto& file : files) {
        const auto dialog = parse_dialog(file.filename(), read_file(file, 1u << 20));
        CHECK(play_everywhere(dialog) == "");
    }
}

// research/security.md F1: one reply, no message, no second transaction.
TEST_CASE("nothing but CRLF.CRLF ends a message") {
    for (const auto* bytes :
         {"\\n.\\n", "\\n.\\r\\n", "\\r\\n.\\n", "\\r.\\r", "\\r\\n.\\r", "\\r.\\r\\n",
          "\\r\\n.\\x00\\r\\n", "\\r\\n\\x00.\\r\\n", "\\n\\r.\\r\\n", "\\r\\r\\n.\\r\\r\\n",
          "\\n.\\r", "\\r.\\n", "\\r\\n.\\r\\r\\n"}) {
        for (const auto* door : {"mx", "local"}) {
            const std::string text =
                cat("@ ", door, "\n@ uid 0\ns~ 220 \nc> HELO x\ns~ 250 \n",
                    "c> MAIL FROM:<root@mx.example>\ns~ 250 \nc> RCPT TO:<a@local.test>\ns~ 250 \n",
                    "c> DATA\ns~ 354 \nc> From: root@mx.example\nc>\nc+ x", bytes,
                    "MAIL FROM:<evil@x>\\r\\nRCPT TO:<b@local.test>\\r\\nDATA\\r\\n",
                    "From: evil@x\\r\\n\\r\\nevil\\r\\n.\\r\\n\n",
                    "s> 550 5.5.2 bare CR, bare LF or NUL in message\n",
                    "c> QUIT\ns> 221 2.0.0 bye\nclosed\nmessages 0\n");
            CHECK(play_everywhere(parse_dialog(cat("smuggling ", bytes), text)) == "");
        }
    }
}

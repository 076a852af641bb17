// Plays tests/dialog/smtpd/*.dlg (the README above that folder has the format).
#include "common/net/stream.h"
#include "tests/unit/smtpd/world.h"
#include "tests/unit/transcript.h"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <utility>

namespace tambo::smtpd::test {

using transcript::Step;
using transcript::Transcript;

namespace {

struct Failure {
    std::string text;
};

// Kept between plays by "@ again N", which N plays share.
struct Connection {
    std::unique_ptr<net::Stream> client;
    uint64_t plays = 0;
};

// N of "@ again N": what stands above it is said once for so many plays. 1 if there is none.
uint64_t plays_of_a_connection(const Transcript& dialog) {
    for (const Step& step : dialog.steps) {
        const auto [what, count] = split_once(step.text, ' ');
        if (step.verb == "@" && what == "again") return parse_uint(count).value();
    }
    return 1;
}

class Player {
  public:
    Player(World& world, Connection& connection, const Transcript& dialog, size_t cut)
        : world_(world), connection_(connection), dialog_(dialog), cut_(cut) {}

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
        bool was_said = connection_.client != nullptr;
        if (!was_said) connect();
        for (const Step& step : dialog_.steps) {
            line_ = step.line;
            if (step.verb == "@" && step.text.starts_with("again ")) was_said = false;
            if (was_said) continue;
            if (step.is_client()) {
                unsent_ += step.text;
                continue;
            }
            co_await send();
            co_await check_step(step);
        }
        co_await send();
        if (++connection_.plays % plays_of_a_connection(dialog_) == 0) connection_.client.reset();
    }

    void connect() {
        Door door = Door::smtp;
        std::string ip = "127.0.0.1";
        uint32_t uid = 1000;
        for (const Step& step : dialog_.steps) {
            if (step.verb != "@") continue;
            line_ = step.line;
            prepare(step.text, door, ip, uid);
        }
        if (door == Door::local) ip.clear();
        connection_.client =
            std::make_unique<net::Stream>(world_.nursery, world_.connect(door, ip, uid), 5000);
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

    // In pieces, with a pause after each in which the server sees it.
    task<> send() {
        const std::string bytes = std::exchange(unsent_, {});
        if (bytes.empty()) co_return;
        const auto pieces = cuts::pieces(bytes, cut_, dialog_.segment);
        for (const auto piece : pieces) {
            connection_.client->put(piece);
            // A server that has closed breaks the write; what it said is still to be read.
            try {
                co_await connection_.client->flush();
            } catch (const Closed&) {
                co_return;
            }
            if (pieces.size() == 1) co_return;
            for (int i = 0; i < 2; ++i)
                co_await sleep_ms(world_.nursery, 0);
        }
    }

    task<> check_step(const Step& step) {
        if (step.verb == "s>" || step.verb == "s~") {
            auto line = co_await connection_.client->read_line(4096);
            const bool good =
                step.verb == "s>" ? line == step.text : transcript::matches(line, step.text);
            if (!good) throw Failure{cat("got \"", escape(line), "\", not \"", step.text, '"')};
        } else if (step.verb == "s+") {
            co_await expect_bytes(step);
        } else if (step.verb == "tls" || step.verb == "tls-fails") {
            co_await start_tls(step.verb == "tls");
        } else if (step.verb == "closed" || step.verb == "closed-or-alert") {
            co_await expect_close(step.verb == "closed-or-alert");
        } else if (step.verb != "@") {
            check_stored(step);
        }
    }

    task<> expect_bytes(const Step& step) {
        std::string got;
        while (got.size() < step.text.size()) {
            auto some = co_await connection_.client->read_some(step.text.size() - got.size());
            got += some;
            if (!step.text.starts_with(got)) throw Failure{cat("got \"", escape(got, 400), '"')};
        }
    }

    task<> start_tls(bool expected) {
        const TlsContext context = client_tls();
        const TlsPeer peer{"mx.example", {}};
        bool good = true;
        try {
            co_await connection_.client->start_tls_client(context, peer);
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
                auto bytes = co_await connection_.client->read_some(4096);
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
    Connection& connection_;
    const Transcript& dialog_;
    size_t cut_;
    int line_ = 0;
    std::string unsent_;
};

Role role_of(const Transcript& dialog) {
    for (const Step& step : dialog.steps) {
        const auto what = split_once(step.text, ' ').first;
        if (step.verb == "@" && (what.starts_with("submission") || what == "local")) {
            return Role::submission;
        }
    }
    return Role::mx;
}

std::string play_once(World& world, Connection& connection, const Transcript& dialog, size_t cut) {
    world.fake_queued.stored.clear();
    std::string failure;
    Player player(world, connection, dialog, cut);
    world.run(player.play(failure));
    return failure;
}

std::string play_everywhere(const Transcript& dialog) {
    World world(role_of(dialog));
    Connection connection;
    return transcript::play_everywhere(
        dialog, [&](size_t cut) { return play_once(world, connection, dialog, cut); });
}

} // namespace

} // namespace tambo::smtpd::test

using namespace tambo;
using namespace tambo::smtpd::test;

TEST_CASE("dialogues go as they are written, cut anywhere") {
    const auto dialogs = tambo::transcript::read_folder("smtpd");
    CHECK((dialogs.size() >= 150 || std::getenv("TAMBO_DIALOG") != nullptr));
    for (const auto& dialog : dialogs)
        CHECK(play_everywhere(dialog) == "");
}

#include "logd/server.h"

#include "common/base/text.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

using namespace tambo;

namespace {

// logd without its process: two daemons that write events, and the command line's connection.
struct Served {
    std::string dir = make_directory();
    UniqueFd dir_fd = open_or_throw(dir.c_str(), O_RDONLY | O_DIRECTORY);
    conf::LogdConfig config = make_config();
    Loop loop;
    Nursery nursery{loop};
    logd::Writer writer{config, dir_fd.get(), UniqueFd()};
    std::optional<ipc::AdminServer> admin{std::in_place, nursery, listen()};
    logd::Server server{loop, writer, *admin};
    ipc::Channel command{nursery, "logd"};
    UniqueFd mx = source("mx.0"), queued = source("queued");

    Served() {
        UniqueFd client(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        const sockaddr_un a = address();
        REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
        command.attach(std::move(client));
    }
    ~Served() {
        command.drop("end");
        nursery.finish();
        admin.reset();
        std::filesystem::remove_all(dir);
    }

    static std::string make_directory() {
        char path[] = "/tmp/tambo-logd-XXXXXX";
        REQUIRE(::mkdtemp(path) != nullptr);
        return path;
    }
    static conf::LogdConfig make_config() {
        conf::LogdConfig config;
        config.file = "events.log";
        config.file_size_max = 1 << 20;
        config.files_kept = 2;
        return config;
    }
    sockaddr_un address() const {
        sockaddr_un a{};
        a.sun_family = AF_UNIX;
        cat(dir, "/socket").copy(a.sun_path, sizeof a.sun_path - 1);
        return a;
    }
    UniqueFd listen() const {
        UniqueFd listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        const sockaddr_un a = address();
        REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
        REQUIRE(::listen(listener.get(), 5) == 0);
        return listener;
    }
    UniqueFd source(const std::string& instance) {
        auto [ours, theirs] = socket_pair(SOCK_SEQPACKET);
        server.add_source(instance, std::move(theirs));
        return std::move(ours);
    }

    // One event of a session, at a time in ms.
    static void say(const UniqueFd& daemon, int64_t at_ms, const std::string& sid) {
        log::Record r;
        r.time = UtcTime{at_ms};
        r.event = "x.y";
        r.sid = sid;
        const std::string datagram = log::encode(r);
        REQUIRE(::send(daemon.get(), datagram.data(), datagram.size(), 0) > 0);
    }
    // Runs the loop until done, and no longer than two seconds.
    void run_until(const std::function<bool()>& done) {
        const int64_t end = Loop::monotonic_ms() + 2000;
        while (!done() && Loop::monotonic_ms() < end) {
            Timer timer(
                loop, [](void* l) { static_cast<Loop*>(l)->stop(); }, &loop);
            timer.arm(2);
            loop.run();
        }
        CHECK(done());
    }
    std::vector<std::string> sids_in_file() const {
        std::vector<std::string> sids;
        writer.read_back(1 << 20, [&](std::string_view line) {
            const auto at = line.find(" sid=");
            sids.emplace_back(split_once(line.substr(at + 5), ' ').first);
        });
        return sids;
    }
};

task<> ask(ipc::Channel& command,
           std::vector<std::string> words,
           std::optional<ipc::AdminAnswer>& answer) {
    ipc::AdminRequest request;
    request.verb = words[0];
    request.words.assign(words.begin() + 1, words.end());
    auto got = co_await command.call(request);
    answer = std::move(got);
}

using Sids = std::vector<std::string>;

} // namespace

TEST_CASE("events of several daemons that wait together are written in the order of their times") {
    Served logd;
    logd.say(logd.mx, 1000, "first");
    logd.say(logd.mx, 3000, "third");
    logd.say(logd.queued, 2000, "second");
    logd.say(logd.queued, 4000, "fourth");
    logd.run_until([&] { return logd.sids_in_file().size() == 4; });
    CHECK(logd.sids_in_file() == Sids{"first", "second", "third", "fourth"});
}

TEST_CASE("what comes while the channels rest is written in the order of its times") {
    Served logd;
    logd.say(logd.mx, 1000, "first");
    logd.run_until([&] { return logd.sids_in_file().size() == 1; });
    logd.say(logd.mx, 3000, "third");
    logd.say(logd.queued, 2000, "second");
    logd.run_until([&] { return logd.sids_in_file().size() == 3; });
    CHECK(logd.sids_in_file() == Sids{"first", "second", "third"});
}

TEST_CASE("a channel that was read is read again soon") {
    Served logd;
    for (int i = 1; i <= 5; ++i) {
        logd.say(logd.mx, 1000 * i, cat("s", i));
        logd.run_until([&] { return logd.sids_in_file().size() == size_t(i); });
    }
    CHECK(logd.sids_in_file() == Sids{"s1", "s2", "s3", "s4", "s5"});
}

TEST_CASE("what happened before trace was asked is in the answer") {
    Served logd;
    logd.say(logd.mx, 1000, "s1");
    logd.run_until([&] { return logd.sids_in_file().size() == 1; });
    // Its channel rests now.
    logd.say(logd.mx, 2000, "s2");
    std::optional<ipc::AdminAnswer> answer;
    logd.nursery.spawn(ask(logd.command, {"trace", "s2"}, answer));
    logd.run_until([&] { return answer.has_value(); });
    REQUIRE(answer->rows.size() == 1);
    CHECK(answer->rows[0][3] == "s2");
    CHECK(answer->rows[0][1] == "mx.0");
    CHECK(logd.sids_in_file() == Sids{"s1", "s2"});
}

TEST_CASE("a daemon's last events are read when it has gone, and its name may come again") {
    Served logd;
    logd.say(logd.mx, 1000, "old");
    logd.mx.reset();
    logd.run_until([&] { return logd.sids_in_file().size() == 1; });
    logd.mx = logd.source("mx.0");
    logd.say(logd.mx, 2000, "new");
    logd.run_until([&] { return logd.sids_in_file().size() == 2; });
    CHECK(logd.sids_in_file() == Sids{"old", "new"});
}

TEST_CASE("before an answer, and at the end, all that a full channel holds is written") {
    Served logd;
    set_nonblocking(logd.mx.get());
    log::Record r;
    r.time = UtcTime{1000};
    r.event = "x.y";
    r.sid = "s";
    const std::string datagram = log::encode(r);
    size_t sent = 0;
    while (::send(logd.mx.get(), datagram.data(), datagram.size(), MSG_DONTWAIT) > 0)
        ++sent;
    CHECK(sent > 100);
    logd.server.drain();
    CHECK(logd.sids_in_file().size() == sent);
}

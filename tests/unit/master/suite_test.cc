// A whole suite in which every daemon is probe_program: supervision, wiring, reload, faults, end.
#include "common/base/text.h"
#include "common/ipc/admin.h"
#include "common/sys/file.h"
#include "master/admin.h"
#include "master/suite.h"
#include "tests/unit/master/temporary.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

using namespace tambo;
using namespace tambo::master;

namespace {

constexpr int64_t kPatience_ms = 60'000;

conf::Request request_in(const std::string& directory) {
    std::string text = cat("hostname = \"mail.example.test\"\ndirectory = \"", directory,
                           "\"\naccounts.aliases_file = \"", directory, "/aliases\"\n",
                           "log.target = \"file\"\n[listen]\n");
    for (const auto* name :
         {"smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s"}) {
        text += cat(name, " = \"127.0.0.1:0\"\n");
    }
    std::ofstream(directory + "/tambo.toml") << text;
    std::ofstream(directory + "/aliases") << "";
    conf::Request request;
    request.file = directory + "/tambo.toml";
    return request;
}

conf::Config load_or_fail(const conf::Request& request) {
    auto loaded = conf::load(request);
    INFO(loaded.report());
    REQUIRE(loaded.config);
    return *loaded.config;
}

std::string libexec_in(const std::string& directory) {
    const std::string libexec = directory + "/libexec";
    std::filesystem::create_directories(libexec);
    std::filesystem::create_directories(directory + "/probe");
    for (const Service& service : services()) {
        const auto link = cat(libexec, '/', service.executable);
        if (std::filesystem::exists(link)) continue;
        std::filesystem::create_symlink(TAMBO_BIN_DIR "/probe_program", link);
    }
    return libexec;
}

class Rig {
  public:
    explicit Rig(decltype(conf::Request::check_certificate) check_certificate = {})
        : request(request_in(dir.path())), users(*Users::look_up(false)), directories(dir.path()),
          executables(libexec_in(dir.path())), nursery(loop),
          around{load_or_fail(request), "",    1,         0,           false,    false, false,
                 directories,           users, listeners, executables, log_pipes} {
        request.check_certificate = std::move(check_certificate);
        directories.make(users);
        epoch.emplace(*Epoch::begin(directories.top()));
        around.epoch = epoch->number();
        REQUIRE(listeners.bind_ports(around.config).empty());
        listeners.bind_local(directories, users);
        suite.emplace(nursery, request, around, *epoch, notifier, UniqueFd());
        server.emplace(nursery, listeners.take_own_control());
        admin.emplace(*server, *suite);
        loop.every(10, [this] {
            if (goal_ && goal_()) loop.stop();
        });
    }
    ~Rig() {
        if (!ended) end();
        nursery.cancel();
    }

    void start() {
        suite->start();
        run_until([this] { return suite->children().all_ready(); });
    }
    void end() {
        goal_ = nullptr;
        suite->stop();
        loop.run(); // stops at the end of the shutdown
        ended = true;
    }
    void run_until(const std::function<bool()>& goal) {
        goal_ = goal;
        const int64_t limit_ms = Loop::monotonic_ms() + kPatience_ms;
        bool in_time = true;
        goal_ = [&] {
            in_time = Loop::monotonic_ms() < limit_ms;
            return goal() || !in_time;
        };
        loop.run();
        goal_ = nullptr;
        REQUIRE(in_time);
    }
    std::string diary(const std::string& instance) const {
        std::ifstream in(dir.path() + "/probe/" + instance);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    size_t count(const std::string& instance, const std::string& line) const {
        const std::string text = diary(instance);
        const auto lines = split(text, '\n');
        return static_cast<size_t>(std::ranges::count(lines, line));
    }
    const Child* find_running(const std::string& service) const {
        for (const auto& child : suite->children().all()) {
            const bool runs = child->state == ChildState::running;
            if (runs && child->service.name == service) return child.get();
        }
        return nullptr;
    }
    const Child& running(const std::string& service) const {
        const Child* child = find_running(service);
        if (!child) FAIL("no running " << service);
        return *child;
    }
    // -1 while there is none: for goals, which must not throw.
    pid_t pid_of(const std::string& service) const {
        const Child* child = find_running(service);
        return child ? child->pid : -1;
    }

    Temporary dir;
    conf::Request request;
    Users users;
    Directories directories;
    Executables executables;
    Listeners listeners;
    LogPipes log_pipes;
    std::optional<Epoch> epoch;
    Notifier notifier = Notifier::from_environment();
    Loop loop;
    Nursery nursery;
    Surroundings around;
    std::optional<Suite> suite;
    std::optional<ipc::AdminServer> server;
    std::optional<Admin> admin;
    bool ended = false;

  private:
    std::function<bool()> goal_;
};

} // namespace

TEST_CASE("a suite starts, everybody meets their peers and nobody else, and ends cleanly") {
    Rig rig;
    rig.start();
    CHECK(rig.suite->children().all().size() == services().size());
    const auto instance = [&](const Service& service) {
        return rig.running(std::string(service.name)).instance;
    };
    rig.run_until([&] {
        return std::ranges::all_of(edges(), [&](const Edge& edge) {
            const auto a = instance(*find_service(edge.a)), b = instance(*find_service(edge.b));
            return rig.count(a, cat("greeted by ", b, " as ", b)) == 1 &&
                   rig.count(b, cat("greeted by ", a, " as ", a)) == 1;
        });
    });
    for (const Service& service : services()) {
        INFO(service.name);
        const std::string text = rig.diary(instance(service));
        size_t greetings = 0;
        for (const auto line : split(text, '\n'))
            greetings += line.starts_with("greeted by ");
        CHECK(greetings == peers_of(service).size());
        for (const auto word : words(service.listeners)) {
            CHECK(rig.count(instance(service), cat("listener ", word)) == 1);
        }
    }
    CHECK(rig.count("authd", "file aliases") == 1);
    CHECK(rig.count("logd", "file log:queued") <= 1); // before or after its start
    CHECK(rig.count("queued", "file spool") == 1);
    CHECK(rig.count("mx.0", "file spool") == 0);
    rig.end();
    for (const Service& service : services()) {
        if (service.count != Count::generations) {
            CHECK(rig.count(instance_name(service, 0), "drain with grace") == 1);
        }
    }
    CHECK(rig.suite->exit_code() == 0);
    CHECK(read_file(rig.dir.path() + "/epoch", 100) == "1 clean\n");
    CHECK(rig.suite->children().all().empty());
}

TEST_CASE("a killed daemon comes back and is wired anew; its peers keep running") {
    Rig rig;
    rig.start();
    const pid_t mx = rig.running("mx").pid;
    for (size_t kill = 1; kill <= 5; ++kill) {
        const pid_t before = rig.running("queued").pid;
        REQUIRE(::kill(before, SIGKILL) == 0);
        rig.run_until([&] {
            return rig.suite->children().all_ready() && rig.pid_of("queued") != before &&
                   rig.count("mx.0", "greeted by queued as queued") == kill + 1;
        });
    }
    CHECK(rig.running("mx").pid == mx);
    CHECK(rig.count("mx.0", "lost queued") == 5);
    CHECK(rig.suite->children().restarts(rig.running("queued")) == 5);
    rig.end();
    CHECK(read_file(rig.dir.path() + "/epoch", 100) == "1 clean\n"); // it was looked after
}

TEST_CASE("P8: a pair that is lost while both live is renewed, once, and nobody is restarted") {
    Rig rig;
    rig.start();
    const pid_t mx = rig.running("mx").pid;
    std::vector<std::string> peers;
    for (const Service* peer : peers_of(*find_service("mx")))
        peers.push_back(instance_name(*peer, 0));
    rig.run_until([&] {
        return std::ranges::all_of(peers, [&](const auto& peer) {
            return rig.count(peer, "greeted by mx.0 as mx.0") == 1;
        });
    });
    REQUIRE(::kill(mx, SIGWINCH) == 0);
    rig.run_until([&] {
        return std::ranges::all_of(peers, [&](const auto& peer) {
            return rig.count("mx.0", cat("greeted by ", peer, " as ", peer)) == 2 &&
                   rig.count(peer, "greeted by mx.0 as mx.0") == 2;
        });
    });
    const int64_t later_ms = Loop::monotonic_ms() + 2'500; // what was renewed stays
    rig.run_until([&] { return Loop::monotonic_ms() >= later_ms; });
    CHECK(rig.running("mx").pid == mx);
    for (const auto& peer : peers) {
        INFO(peer);
        CHECK(rig.count("mx.0", "lost " + peer) == 1);
        CHECK(rig.count(peer, "lost mx.0") == 1);
        CHECK(rig.count(peer, "greeted by mx.0 as mx.0") == 2);
        CHECK(rig.count("queued", "lost authd") == 0);
    }
    for (const auto& child : rig.suite->children().all())
        CHECK(rig.suite->children().restarts(*child) == 0);
}

TEST_CASE("a daemon that breaks the contract is ended and started again") {
    Rig rig;
    rig.start();
    const pid_t before = rig.running("mx").pid;
    // Only imapd and pop3d may retire; what mx says is ignored, what it cannot say ends it.
    REQUIRE(::kill(before, SIGUSR1) == 0);
    rig.run_until([&] { return true; });
    CHECK(rig.running("mx").pid == before);
    rig.suite->children().all()[0]->owner.kill(
        *std::ranges::find(rig.suite->children().all(), before, [](auto& c) { return c->pid; })
             ->get(),
        "test");
    rig.run_until([&] { return rig.suite->children().all_ready() && rig.pid_of("mx") != before; });
}

TEST_CASE("imapd: a retired process stays, its successor accepts, and peers forget it at its end") {
    Rig rig;
    rig.start();
    const std::string old_name = rig.running("imapd").instance;
    const pid_t old_pid = rig.running("imapd").pid;
    REQUIRE(::kill(old_pid, SIGUSR1) == 0);
    rig.run_until(
        [&] { return rig.suite->children().all_ready() && rig.pid_of("imapd") != old_pid; });
    const std::string new_name = rig.running("imapd").instance;
    CHECK(new_name != old_name);
    CHECK(new_name.starts_with("imapd."));
    CHECK(rig.suite->children().all().size() == services().size() + 1);
    rig.run_until(
        [&] { return rig.count("authd", cat("greeted by ", new_name, " as ", new_name)) == 1; });
    CHECK(rig.count("authd", "lost " + old_name) == 0);
    REQUIRE(::kill(old_pid, SIGKILL) == 0);
    rig.run_until([&] {
        return rig.suite->children().all().size() == services().size() &&
               rig.count("authd", "lost " + old_name) == 1;
    });
}

TEST_CASE("reload: errors change nothing, a good configuration reaches everybody") {
    Rig rig;
    rig.start();
    const std::string file = rig.dir.path() + "/tambo.toml";
    const std::string good = read_file(file, 1 << 16);
    std::ofstream(file) << good << "[smtp]\nrecipients_maxi = 5\nmessage_size_max = \"x\"\n";
    const auto refused = rig.suite->reload();
    CHECK_FALSE(refused.ok);
    CHECK(refused.report.find("did you mean \"smtp.recipients_max\"") != std::string::npos);
    CHECK(refused.report.find("message_size_max: expected a size") != std::string::npos);
    CHECK(rig.around.generation == 1);

    std::ofstream(file) << good << "[smtp]\nrecipients_max = 200\n[processes]\nimap = 2\n";
    const auto taken = rig.suite->reload();
    CHECK(taken.ok);
    CHECK(taken.report == "processes.imap: the change takes effect when tambo is restarted\n");
    CHECK(rig.around.config.smtp.recipients_max == 200);
    rig.run_until([&] {
        return std::ranges::all_of(rig.suite->children().all(), [&](const auto& child) {
            return rig.count(child->instance, "configured generation=2") == 1;
        });
    });
    CHECK(rig.count("keyd", "new file key:1 ") == 1);
    CHECK(rig.count("mx.0", "new file certificate:1 ") == 1);
    CHECK(rig.count("queued", "configured generation=1") == 0);
}

TEST_CASE("reload says who could not be given a file") {
    Rig rig;
    rig.start();
    const std::string aliases = rig.dir.path() + "/aliases";
    std::filesystem::remove(aliases);
    std::filesystem::create_symlink(aliases, aliases);
    const auto taken = rig.suite->reload();
    CHECK(taken.ok);
    CHECK(taken.report.starts_with(cat("authd goes on with what it had: open ", aliases)));
    std::filesystem::remove(aliases);
    rig.run_until([&] { return rig.count("queued", "configured generation=2") == 1; });
    CHECK(rig.count("authd", "configured generation=2") == 0);
    CHECK(rig.suite->reload().report == "");
    rig.run_until([&] { return rig.count("authd", "configured generation=3") == 1; });
}

TEST_CASE("who starts anew is given the keys and certificates of the last accepted reload") {
    Rig rig([](auto certificate, auto key) {
        const bool fits = certificate.substr(1) == key.substr(1);
        return fits ? std::nullopt : std::optional<std::string>("another's key");
    });
    const auto write = [&](const std::string& name, const std::string& text) {
        std::ofstream(rig.dir.path() + name) << text;
    };
    write("/c", "c1");
    write("/k", "k1");
    const std::string file = rig.dir.path() + "/tambo.toml";
    const std::string text = cat(read_file(file, 1 << 16), "[tls]\ncertificate = \"",
                                 rig.dir.path(), "/c\"\nkey = \"", rig.dir.path(), "/k\"\n");
    std::ofstream(file) << text;
    rig.start();
    REQUIRE(rig.suite->reload().ok);
    rig.run_until([&] { return rig.count("keyd", "holds key:1 k1") == 1; });

    const auto replace = [&](const std::string& service) {
        const pid_t old = rig.pid_of(service);
        ::kill(old, SIGKILL);
        rig.run_until([&] { return rig.pid_of(service) > 0 && rig.pid_of(service) != old; });
    };
    write("/k", "k2"); // half of a new pair
    CHECK_FALSE(rig.suite->reload().ok);
    replace("keyd");
    CHECK(rig.count("keyd", "holds key:1 k1") == 2);
    write("/c", "c2"); // all of it, and nobody has said so
    replace("imapd");
    CHECK(rig.count(rig.running("imapd").instance, "holds certificate:1 c1") == 1);

    REQUIRE(rig.suite->reload().ok);
    rig.run_until([&] { return rig.count("keyd", "holds key:1 k2") == 1; });
    replace("keyd");
    CHECK(rig.count("keyd", "holds key:1 k2") == 2);
    write("/k", "k3");
    write("/c", "c3");
    std::ofstream(file) << text << "smarthost = 1\n"; // refused for another reason
    CHECK_FALSE(rig.suite->reload().ok);
    replace("keyd");
    CHECK(rig.count("keyd", "holds key:1 k2") == 3);
}

TEST_CASE("aliases reach authd when the file changes") {
    Rig rig;
    rig.start();
    std::ofstream(rig.dir.path() + "/aliases") << "root: alice";
    rig.run_until([&] { return rig.count("authd", "new file aliases root: alice") >= 1; });
    CHECK(rig.count("queued", "new file aliases root: alice") == 0);
}

TEST_CASE("a storage fault reaches everybody; when the disk is sound, those with mail or accounts "
          "start over") {
    Rig rig;
    rig.start();
    const pid_t mx = rig.running("mx").pid, queued = rig.running("queued").pid;
    REQUIRE(::kill(queued, SIGUSR2) == 0);
    rig.run_until([&] { return rig.count("mx.0", "read-only") == 1; });
    CHECK(rig.around.read_only);
    rig.run_until([&] { return rig.count("mx.0", "writable") == 1; });
    rig.run_until(
        [&] { return rig.suite->children().all_ready() && rig.pid_of("queued") != queued; });
    CHECK(rig.running("mx").pid == mx);
    CHECK(rig.around.epoch == 2);
    for (const auto* instance : {"queued", "keeper", "deliverd", "authd"}) {
        rig.run_until([&] { return rig.diary(instance).find(" epoch=2 ") != std::string::npos; });
    }
    rig.end();
    CHECK(read_file(rig.dir.path() + "/epoch", 100) == "2 running\n"); // not clean
}

// RULES.md P8. Else whoever takes over a process that faces the network could stop all mail.
TEST_CASE("a storage fault is believed only of those who keep mail or accounts") {
    Rig rig;
    rig.start();
    const pid_t mx = rig.running("mx").pid;
    REQUIRE(::kill(mx, SIGUSR2) == 0);
    rig.run_until([&] { return rig.pid_of("mx") != mx && rig.suite->children().all_ready(); });
    CHECK_FALSE(rig.around.read_only);
    CHECK(rig.count("queued", "read-only") == 0);
    CHECK(rig.around.epoch == 1);
}

// As on a full disk.
TEST_CASE("an epoch that cannot be written after a fault is written later") {
    Rig rig;
    const std::string path = rig.dir.path() + "/epoch";
    rig.start();
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    REQUIRE(::kill(rig.running("queued").pid, SIGUSR2) == 0);
    rig.run_until([&] { return rig.count("mx.0", "read-only") == 1; });
    const int64_t later_ms = Loop::monotonic_ms() + 7'000; // a check of the disk is over
    rig.run_until([&] { return Loop::monotonic_ms() >= later_ms; });
    CHECK(rig.around.read_only);
    std::filesystem::remove(path);
    rig.run_until([&] { return rig.count("mx.0", "writable") == 1; });
    CHECK_FALSE(rig.around.read_only);
}

TEST_CASE("an epoch that cannot be written holds up no shutdown") {
    Rig rig;
    const std::string path = rig.dir.path() + "/epoch";
    rig.start();
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    rig.end();
    CHECK(rig.suite->exit_code() == 0);
}

TEST_CASE("a suite that cannot start gives up with a plain exit code") {
    Rig rig;
    std::ofstream(rig.dir.path() + "/probe-fails") << "";
    rig.suite->start();
    rig.loop.run(); // it stops itself
    rig.ended = true;
    CHECK(rig.suite->exit_code() == 70);
    CHECK(rig.suite->children().all().empty());
}

TEST_CASE("what was left in drop/ reaches authd and goes when it is taken") {
    Rig rig;
    std::ofstream(rig.dir.path() + "/drop/0123ab") << "EHLO x\r\n";
    std::ofstream(rig.dir.path() + "/drop/0123cd") << "EHLO x\r\n";
    std::ofstream(rig.dir.path() + "/drop/bad") << "nonsense";
    rig.start();
    rig.run_until([&] { return std::filesystem::is_empty(rig.dir.path() + "/drop"); });
    CHECK(read_file(rig.dir.path() + "/drop-refused/bad", 100) == "nonsense");
    CHECK(rig.count("authd", "new file drop:0123ab ") == 1);
    CHECK(rig.count("authd", "new file drop:0123cd ") == 1);
    CHECK(rig.count("submit.0", "new file drop:") == 0); // it is authd's to say whose they are
}

namespace {

// A program for --check: prints a line and ends with the status.
std::vector<std::string> trial_program(const std::string& directory, int status) {
    const std::string path = cat(directory, "/next-master");
    std::ofstream(path) << "#!/bin/sh\necho \"asked with $*\"\nexit " << status << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return {path, "--config", "c"};
}

// Asks for a restart as `tambo restart` does.
ipc::AdminAnswer restarted(Rig& rig) {
    std::optional<ipc::AdminAnswer> answer;
    std::atomic<bool> asked = false;
    std::thread asker([&] {
        answer = ipc::ask_daemon(rig.dir.path() + "/control/master.sock", {"restart", {}, {}, {}});
        asked = true;
    });
    rig.run_until([&] { return asked.load(); });
    asker.join();
    return answer.value_or(ipc::AdminAnswer{});
}

} // namespace

TEST_CASE("restart: programs that could not start are not started") {
    Rig rig;
    rig.start();
    rig.around.command = trial_program(rig.dir.path(), 78);
    const auto answer = restarted(rig);
    CHECK(answer.exit_code == 78);
    CHECK(answer.error == "asked with --config c --check\nwhat runs now goes on as it is");
    rig.around.command = {rig.dir.path() + "/is-not-there"};
    CHECK(restarted(rig).error ==
          rig.dir.path() + "/is-not-there cannot be executed\nwhat runs now goes on as it is");
    CHECK_FALSE(rig.suite->stopping());
    CHECK_FALSE(rig.suite->ends_for_successor());
    CHECK(rig.suite->children().all_ready());
}

TEST_CASE("restart: everything ends in order, and the ports stay open for the next program") {
    Rig rig;
    rig.start();
    rig.around.command = trial_program(rig.dir.path(), 0);
    const auto answer = restarted(rig);
    CHECK(answer.exit_code == 0);
    REQUIRE(answer.rows.size() == 1);
    CHECK(answer.rows[0][0] == "asked with --config c --check");
    rig.run_until([&] { return rig.suite->children().all().empty(); });
    rig.ended = true;
    CHECK(rig.suite->ends_for_successor());
    CHECK(rig.suite->exit_code() == 0);
    rig.run_until([&] { return read_file(rig.dir.path() + "/epoch", 100) == "1 clean\n"; });
    for (const auto* socket : rig.listeners.of("mx", "smtp"))
        CHECK(socket->fd.valid());
}

TEST_CASE("a stop that overtakes a restart is a stop") {
    Rig rig;
    rig.start();
    rig.around.command = trial_program(rig.dir.path(), 0);
    CHECK(restarted(rig).exit_code == 0);
    rig.suite->stop();
    CHECK_FALSE(rig.suite->ends_for_successor());
    rig.run_until([&] { return rig.suite->children().all().empty(); });
    rig.ended = true;
}

TEST_CASE("the command line sees processes and listeners, reloads and stops") {
    Rig rig;
    rig.start();
    const std::string socket = rig.dir.path() + "/control/master.sock";
    std::optional<ipc::AdminAnswer> status, listeners, reload, stopped;
    std::atomic<bool> asked = false;
    std::thread asker([&] {
        status = ipc::ask_daemon(socket, {"status", {}, {}, {}});
        listeners = ipc::ask_daemon(socket, {"listeners", {}, {}, {}});
        reload = ipc::ask_daemon(socket, {"reload", {}, {}, {}});
        stopped = ipc::ask_daemon(socket, {"stop", {}, {}, {}});
        asked = true;
    });
    rig.loop.run(); // until stopped
    asker.join();
    rig.ended = true;
    REQUIRE(status);
    CHECK(status->columns[0] == "process");
    CHECK(status->columns[2] == "pid");
    CHECK(status->rows.size() == services().size() + 1);
    CHECK(status->rows[0][0] == "master");
    CHECK(status->rows[1].back() == "nothing but a probe");
    REQUIRE(listeners);
    CHECK(listeners->rows.size() == 7 + 5 + 1); // ports, control sockets, submit.sock
    REQUIRE(reload);
    CHECK(reload->exit_code == 0);
    CHECK(reload->rows[0][0] == "2");
    CHECK(stopped);
    CHECK(asked);
}

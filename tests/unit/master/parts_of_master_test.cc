// The small parts of master: back-off, epoch, directories, listeners, options, drop, and so on.
#include "common/base/text.h"
#include "common/conf/load.h"
#include "common/crypto/keys.h"
#include "common/sys/clock.h"
#include "common/sys/file.h"
#include "master/backoff.h"
#include "master/certificates.h"
#include "master/drop.h"
#include "master/epoch.h"
#include "master/file_watch.h"
#include "master/files.h"
#include "master/handover.h"
#include "master/listeners.h"
#include "master/notify.h"
#include "master/options.h"
#include "master/storage_check.h"
#include "master/suite.h"
#include "tests/unit/master/temporary.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

using namespace tambo;
using namespace tambo::master;

namespace {

Users nobody() {
    return *Users::look_up(false);
}

conf::Config example() {
    conf::Config config = conf::defaults();
    config.hostname = "mail.example.org";
    return config;
}

mode_t mode_of(const std::string& path) {
    struct stat st {};
    REQUIRE(::lstat(path.c_str(), &st) == 0);
    return st.st_mode & 07777;
}

} // namespace

TEST_CASE("back-off: at once, then later and later, and forgiven after a long life") {
    Backoff backoff;
    CHECK(backoff.died(5) == 0);
    CHECK(backoff.died(5) == 50);
    CHECK(backoff.died(5) == 100);
    CHECK(backoff.died(5) == 200);
    CHECK(backoff.died(5) == 400); // five kills in a row: back in well under two seconds
    CHECK_FALSE(backoff.loops());
    for (int i = 0; i < 50; ++i)
        CHECK(backoff.died(5) <= Backoff::kCap_ms);
    CHECK(backoff.died(5) == Backoff::kCap_ms);
    CHECK(backoff.loops());
    CHECK(backoff.died(Backoff::kLongLife_ms) == 0);
    CHECK_FALSE(backoff.loops());
}

TEST_CASE("the epoch grows unless the last end was clean") {
    Temporary dir;
    const UniqueFd fd = open_or_throw(dir.path(), O_RDONLY | O_DIRECTORY);
    CHECK(Epoch::begin(fd.get())->number() == 1);
    CHECK(Epoch::begin(fd.get())->number() == 2); // no mark
    Epoch::begin(fd.get())->mark_clean();         // 3
    CHECK(Epoch::begin(fd.get())->number() == 3);
    auto epoch = Epoch::begin(fd.get()); // 4: the third had no mark
    epoch->raise();
    CHECK(epoch->number() == 5);
    CHECK(read_file(dir.path() + "/epoch", 100) == "5 running\n");
    for (const auto* damaged : {"", "x", "0 clean\n", "5", "5 cleanish\n", "99999999999 clean\n"}) {
        std::ofstream(dir.path() + "/epoch") << damaged;
        const auto refused = Epoch::begin(fd.get());
        CHECK_FALSE(refused.ok());
    }
}

TEST_CASE("directories are made with their modes, mended, and locked once") {
    Temporary dir;
    const std::string top = dir.path() + "/a/b";
    Directories first(top);
    CHECK_FALSE(first.lock());
    first.make(nobody());
    CHECK(mode_of(top + "/spool") == 02700);
    CHECK(mode_of(top + "/mail") == 02711);
    CHECK(mode_of(top + "/accounts") == 0700);
    CHECK(mode_of(top + "/drop") == 03733);
    CHECK(mode_of(top + "/root") == 0555);
    REQUIRE(::chmod((top + "/accounts").c_str(), 0755) == 0);
    first.make(nobody());
    CHECK(mode_of(top + "/accounts") == 0700);

    Directories second(top);
    CHECK(second.lock() == cat(::getpid()));
}

TEST_CASE("a symbolic link in place of a directory is refused") {
    Temporary dir;
    REQUIRE(::symlink("/tmp", (dir.path() + "/spool").c_str()) == 0);
    Directories directories(dir.path());
    CHECK_THROWS_AS(directories.make(nobody()), std::system_error);
}

TEST_CASE("listeners: ports of the system's choice, and a taken port is named") {
    conf::Config config = example();
    for (auto* list :
         {&config.listen.smtp, &config.listen.submission, &config.listen.submissions,
          &config.listen.imap, &config.listen.imaps, &config.listen.pop3, &config.listen.pop3s}) {
        list->clear();
    }
    config.listen.smtp = {{"127.0.0.1", 0}};
    config.listen.imap = {{"127.0.0.1", 0}, {"127.0.0.1", 0}};
    Listeners listeners;
    CHECK(listeners.bind_ports(config).empty());
    REQUIRE(listeners.all().size() == 3);
    CHECK(listeners.of("mx", "smtp").size() == 1);
    CHECK(listeners.of("imapd", "imap imaps").size() == 2);
    const uint16_t port = listeners.all()[0].port;
    CHECK(port != 0);

    conf::Config again = config;
    again.listen.imap.clear();
    again.listen.smtp = {{"127.0.0.1", port}, {"192.0.2.77", 0}};
    Listeners other;
    const auto problems = other.bind_ports(again);
    REQUIRE(problems.size() == 2); // all of them, not the first
    CHECK(problems[0].find(cat("listen.smtp: cannot listen on 127.0.0.1:", port,
                               ": Address already in use")) == 0);
    CHECK(problems[1].find("this machine does not have that address") != std::string::npos);
}

TEST_CASE("local sockets can be reached, also below a long path") {
    Temporary dir;
    Directories directories(dir.path() + "/" + std::string(120, 'd'));
    directories.make(nobody());
    Listeners listeners;
    listeners.bind_local(directories, nobody());
    CHECK(mode_of(directories.path() + "/submit.sock") == 0666);
    CHECK(mode_of(directories.path() + "/control/queued.sock") == 0660);
    CHECK(listeners.of("queued", "control").size() == 1);
    CHECK(listeners.of("mx", "smtp").empty());
    CHECK(listeners.take_own_control().valid());
    Listeners again; // what a crash left behind does not hinder
    CHECK_NOTHROW(again.bind_local(directories, nobody()));
}

namespace {

// What the next program of this process would find.
Inherited next_program(int lock, const Listeners& listeners) {
    REQUIRE(::setenv("TAMBO_HANDOVER", handed_over(lock, listeners.all()).c_str(), 1) == 0);
    Inherited inherited = Inherited::from_environment();
    CHECK(std::getenv("TAMBO_HANDOVER") == nullptr);
    return inherited;
}

ino_t inode_of(int fd) {
    struct stat st {};
    REQUIRE(::fstat(fd, &st) == 0);
    return st.st_ino;
}

} // namespace

TEST_CASE("handover: the same sockets and the same lock, where they still fit") {
    conf::Config config = example();
    for (auto* list : {&config.listen.submission, &config.listen.submissions, &config.listen.imap,
                       &config.listen.imaps, &config.listen.pop3, &config.listen.pop3s}) {
        list->clear();
    }
    config.listen.smtp = {{"127.0.0.1", 0}, {"127.0.0.1", 0}};
    Temporary dir;
    Directories directories(dir.path());
    REQUIRE_FALSE(directories.lock());
    directories.make(nobody());
    Listeners listeners;
    REQUIRE(listeners.bind_ports(config).empty());
    listeners.bind_local(directories, nobody());
    CHECK(listeners.take_own_control().valid()); // is made anew

    Inherited inherited = next_program(directories.lock_descriptor(), listeners);
    CHECK(inherited.sockets.size() == 2 + 4 + 1);
    for (const auto& socket : inherited.sockets)
        CHECK(::fcntl(socket.fd.get(), F_GETFD) == FD_CLOEXEC);

    Directories successor(dir.path());
    CHECK_FALSE(successor.lock(std::move(inherited.lock)));
    CHECK(successor.is_successor());
    successor.make(nobody());
    Directories stranger(dir.path());
    CHECK(stranger.lock() == cat(::getpid()));
    CHECK_FALSE(stranger.is_successor());

    // One of the ports is named, the other one is not any more, and a third one is new.
    const uint16_t kept = listeners.all()[0].port, left = listeners.all()[1].port;
    const ino_t smtp = inode_of(listeners.all()[0].fd.get());
    const ino_t submit = inode_of(listeners.of("submit", "submit")[0]->fd.get());
    config.listen.smtp = {{"127.0.0.1", kept}};
    config.listen.imap = {{"127.0.0.1", 0}};
    listeners = Listeners(); // as if executed
    Listeners next;
    next.inherit(std::move(inherited.sockets));
    CHECK(next.bind_ports(config).empty());
    next.bind_local(successor, nobody());
    CHECK(inode_of(next.of("mx", "smtp").at(0)->fd.get()) == smtp);
    CHECK(inode_of(next.of("submit", "submit").at(0)->fd.get()) == submit);
    CHECK(next.of("imapd", "imap").size() == 1);
    CHECK(next.take_own_control().valid());
    // Nobody holds the port that is not named.
    config.listen.smtp = {{"127.0.0.1", left}};
    config.listen.imap.clear();
    Listeners free;
    CHECK(free.bind_ports(config).empty());
}

TEST_CASE("handover: what is no listening socket is not taken for one") {
    Temporary dir;
    const UniqueFd file = openat_or_throw(AT_FDCWD, dir.path() + "/f", O_RDWR | O_CREAT, 0600);
    const int copy = ::fcntl(file.get(), F_DUPFD, 3);
    const std::string value = cat("socket ", copy, " smtp - 127.0.0.1:25\nsocket 99999 smtp - x\n",
                                  "lock x\nnonsense\n\nsocket 1\n");
    REQUIRE(::setenv("TAMBO_HANDOVER", value.c_str(), 1) == 0);
    const Inherited inherited = Inherited::from_environment();
    CHECK(inherited.sockets.empty());
    CHECK_FALSE(inherited.lock.valid());
}

TEST_CASE("handover: the command line of the next program") {
    const auto options = parse_options({"--config", "/a.toml", "--set", "relay.port=1",
                                        "--ready-fd", "7", "--foreground", "--libexec", "/l"});
    REQUIRE(options);
    CHECK(command_line("/usr/lib/tambo/master", *options) ==
          std::vector<std::string>{"/usr/lib/tambo/master", "--config", "/a.toml", "--set",
                                   "relay.port=1", "--libexec", "/l", "--foreground"});
    CHECK(parse_options({"--check"})->check);
}

TEST_CASE("options") {
    const auto good = parse_options({"--config", "/a/b.toml", "--set", "smtp.greeting_wait=0",
                                     "--set=relay.port=2525", "--dir=/x/../y", "--foreground",
                                     "--ready-fd", "7"});
    REQUIRE(good);
    CHECK(good->config_file == "/a/b.toml");
    CHECK(good->settings ==
          std::vector<std::string>{"smtp.greeting_wait=0", "relay.port=2525", "directory=/y"});
    CHECK(good->foreground);
    CHECK(good->ready_fd == 7);
    CHECK(parse_options({"--print-wiring"})->print == Options::Print::wiring);
    for (const auto& bad : std::vector<std::vector<std::string>>{
             {"--config"}, {"--what", "x"}, {"file"}, {"--ready-fd", "x"}, {"-x"}}) {
        CHECK_FALSE(parse_options(bad).ok());
    }
}

TEST_CASE("drop/: only regular files with one link and a plain name, each given once") {
    Temporary dir;
    const UniqueFd fd = open_or_throw(dir.path(), O_RDONLY | O_DIRECTORY);
    std::ofstream(dir.path() + "/abc123") << "EHLO x\r\n";
    std::ofstream(dir.path() + "/.hidden") << "x";
    std::ofstream(dir.path() + "/two") << "x";
    std::filesystem::create_hard_link(dir.path() + "/two", dir.path() + "/linked");
    std::filesystem::create_symlink("/etc/passwd", dir.path() + "/link");
    REQUIRE(::mkfifo((dir.path() + "/fifo").c_str(), 0600) == 0);
    std::filesystem::create_directory(dir.path() + "/directory");

    Temporary aside;
    const UniqueFd refused = open_or_throw(aside.path(), O_RDONLY | O_DIRECTORY);
    Drop drop(fd.get(), refused.get());
    const auto first = drop.next();
    REQUIRE(first);
    CHECK(first->first == "abc123");
    CHECK_FALSE(drop.next());
    constexpr auto taken = ipc::DropOutcome::taken, not_now = ipc::DropOutcome::not_now;
    drop.finish("two", taken); // was not given out
    CHECK(std::filesystem::exists(dir.path() + "/two"));
    drop.finish("abc123", not_now);
    CHECK(std::filesystem::exists(dir.path() + "/abc123"));
    CHECK_FALSE(drop.next()); // not at once
    drop.again();
    REQUIRE(drop.next());
    drop.finish("abc123", not_now);

    Drop next_start(fd.get(), refused.get());
    REQUIRE(next_start.next());
    next_start.retry(); // the submission daemon died
    REQUIRE(next_start.next());
    next_start.finish("abc123", taken);
    CHECK_FALSE(std::filesystem::exists(dir.path() + "/abc123"));

    std::ofstream(dir.path() + "/bad1") << "nonsense";
    REQUIRE(next_start.next());
    next_start.finish("bad1", ipc::DropOutcome::refused);
    CHECK_FALSE(std::filesystem::exists(dir.path() + "/bad1"));
    CHECK(std::filesystem::exists(aside.path() + "/bad1")); // nothing is thrown away
    next_start.again();
    CHECK_FALSE(next_start.next());
}

TEST_CASE("drop/: more files than are looked for at once are given once each") {
    Temporary dir;
    const UniqueFd fd = open_or_throw(dir.path(), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 2500; ++i)
        std::ofstream(dir.path() + "/f" + std::to_string(i)) << "x";
    Drop drop(fd.get(), fd.get());
    std::set<std::string> names;
    while (const auto message = drop.next()) {
        CHECK(names.insert(message->first).second);
        drop.finish(message->first, ipc::DropOutcome::not_now);
    }
    CHECK(names.size() == 2500);
}

TEST_CASE("a file is noticed when it is written, replaced, and behind a link") {
    Temporary dir;
    const auto path = [&](const char* name) { return dir.path() + "/" + name; };
    std::ofstream(path("real")) << "1";
    std::filesystem::create_symlink("real", path("link"));
    Loop loop;
    std::vector<std::string> seen;
    FileWatch watch(loop, [&](const std::string& word) {
        seen.push_back(word);
        loop.stop();
    });
    watch.watch("aliases", path("aliases"));
    watch.watch("resolv", path("link"));
    watch.watch("absent", "/nonexistent/directory/file");
    Timer limit(
        loop, [](void* l) { static_cast<Loop*>(l)->stop(); }, &loop);
    limit.arm(20'000);
    std::ofstream(path("aliases")) << "root: alice";
    loop.run();
    std::ofstream(path("new")) << "root: bob";
    std::filesystem::rename(path("new"), path("aliases"));
    std::ofstream(path("other")) << "x";
    loop.run();
    std::ofstream(path("real")) << "2";
    loop.run();
    CHECK(seen == std::vector<std::string>{"aliases", "aliases", "resolv"});
}

TEST_CASE("systemd is told what it asked for") {
    Temporary dir;
    const std::string path = dir.path() + "/notify";
    const UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const auto received = [&] {
        char buffer[256];
        const ssize_t n = ::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        return std::string(buffer, n > 0 ? static_cast<size_t>(n) : 0);
    };
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    ::setenv("WATCHDOG_USEC", "30000000", 1);
    const Notifier notifier = Notifier::from_environment();
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
    CHECK(notifier.watchdog_interval_ms() == 15'001);
    notifier.ready("serving");
    CHECK(received() == "READY=1\nSTATUS=serving\n");
    notifier.reloading();
    CHECK(received().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    notifier.watchdog();
    CHECK(received() == "WATCHDOG=1\n");
    const Notifier silent = Notifier::from_environment();
    CHECK(silent.watchdog_interval_ms() == 0);
    silent.stopping();
    CHECK(received().empty());
}

TEST_CASE("without a certificate one is made, once, and again for another name") {
    Temporary dir;
    Directories directories(dir.path());
    directories.make(nobody());
    const UtcTime now = SystemClock().now();
    conf::Config config = example();
    provide_certificate(config, directories, nobody(), now);
    REQUIRE(config.tls.certificate.size() == 1);
    const std::string first = read_file(config.tls.certificate[0], 1 << 20);
    CHECK(mode_of(config.tls.key[0]) == 0600);
    CHECK(certificate_warnings(config, now).empty());

    conf::Config same = example();
    provide_certificate(same, directories, nobody(), now);
    CHECK(read_file(same.tls.certificate[0], 1 << 20) == first);
    conf::Config renamed = example();
    renamed.hostname = "mail.example.net";
    provide_certificate(renamed, directories, nobody(), now);
    CHECK(read_file(renamed.tls.certificate[0], 1 << 20) != first);
    const std::string second = read_file(renamed.tls.certificate[0], 1 << 20);
    std::ofstream(renamed.tls.key[0]) << PrivateKey::generate(KeyType::ec_p256).pem();
    renamed.tls = {};
    provide_certificate(renamed, directories, nobody(), now);
    CHECK(read_file(renamed.tls.certificate[0], 1 << 20) != second);
    const UtcTime late{now.ms + int64_t{4000} * 86'400'000};
    CHECK(certificate_warnings(renamed, late).size() == 1);
}

TEST_CASE("files: a missing one that may be missing is empty, another is an error") {
    Temporary dir;
    Directories directories(dir.path());
    directories.make(nobody());
    conf::Config config = example();
    config.accounts.aliases_file = dir.path() + "/no-aliases";
    config.accounts.passwd_file = "";
    const auto files = open_files(*find_service("authd"), config, {}, directories);
    REQUIRE(files.size() == 3);
    CHECK(files[1].name == "aliases");
    CHECK(read_whole(files[1].fd.get(), 10, "aliases").empty());
    CHECK(read_whole(files[2].fd.get(), 10, "passwd").empty());
    config.log.target = dir.path() + "/gone/events.log";
    CHECK_THROWS_AS(open_files(*find_service("logd"), config, {}, directories), std::system_error);
}

TEST_CASE("certificates and keys are given as they were, whatever becomes of their files") {
    Temporary dir;
    Directories directories(dir.path());
    directories.make(nobody());
    const auto write = [&](const std::string& name, std::string_view text) {
        std::ofstream(dir.path() + name) << text;
        return dir.path() + name;
    };
    conf::Config config = example();
    config.tls.certificate = {write("/c1", "certificate 1"), write("/c2", "certificate 2")};
    config.tls.key = {write("/k1", "key 1"), write("/k2", std::string(100'000, 'k'))};
    const TlsFiles tls(config);
    write("/c1", "changed"); // in place: the same file
    write("/new", "new");
    std::filesystem::rename(dir.path() + "/new", dir.path() + "/c2");
    std::filesystem::remove(dir.path() + "/k1");
    for (int start = 0; start < 2; ++start) {
        const auto keys = open_files(*find_service("keyd"), config, tls, directories);
        REQUIRE(keys.size() == 3);
        CHECK(keys[0].name == "key:1");
        CHECK(read_whole(keys[0].fd.get(), 100, "key") == "key 1");
        CHECK(keys[1].name == "key:2");
        CHECK(read_whole(keys[1].fd.get(), 1 << 20, "key") == std::string(100'000, 'k'));
        const auto shown = open_files(*find_service("imapd"), config, tls, directories);
        REQUIRE(shown.size() == 3);
        CHECK(shown[0].name == "certificate:1");
        CHECK(read_whole(shown[0].fd.get(), 100, "certificate") == "certificate 1");
        CHECK(shown[1].name == "certificate:2");
        CHECK(read_whole(shown[1].fd.get(), 100, "certificate") == "certificate 2");
        // Who is given one can change nothing for those who are given it later.
        CHECK(::pwrite(shown[0].fd.get(), "x", 1, 0) == -1);
        CHECK(::ftruncate(shown[0].fd.get(), 0) == -1);
    }
}

TEST_CASE("certificates and keys: what cannot be copied, or does not fit, is named") {
    Temporary dir;
    const std::string path = dir.path() + "/file";
    conf::Config config = example();
    config.tls.certificate = {path};
    config.tls.key = {path};
    const auto failure = [&] {
        try {
            TlsFiles tls(config);
        } catch (const std::system_error& e) {
            return std::string(e.what());
        }
        return std::string();
    };
    CHECK(failure().find(path) != std::string::npos);
    std::ofstream(path) << std::string((1 << 20) + 1, 'x');
    CHECK(failure().find(path) != std::string::npos);
    std::ofstream(path) << std::string(1 << 20, 'x');
    CHECK(failure().empty());
    std::ofstream(path) << "";
    CHECK(failure().empty());

    std::ofstream(path) << "text";
    const TlsFiles tls(config);
    conf::Request request;
    CHECK_FALSE(tls.problem(request));
    std::string seen;
    request.check_certificate = [&](auto certificate, auto key) {
        seen = cat(certificate, '+', key);
        return std::optional<std::string>("no good");
    };
    std::ofstream(path) << "something else";
    CHECK(tls.problem(request) == cat("tls.certificate: ", path, ": no good"));
    CHECK(seen == "text+text");
}

TEST_CASE("the storage check passes on a disk that works, and fails where nothing can be written") {
    Temporary dir;
    const UniqueFd fd = open_or_throw(dir.path(), O_RDONLY | O_DIRECTORY);
    CHECK(storage_is_sound(fd.get()));
    CHECK(std::filesystem::is_empty(dir.path()));
    const UniqueFd proc = open_or_throw("/proc/self", O_RDONLY | O_DIRECTORY);
    CHECK_FALSE(storage_is_sound(proc.get()));
}

TEST_CASE("a reload leaves alone what only a restart can change, and says so") {
    conf::Config running = example();
    conf::Config fresh = example();
    fresh.hostname = "other.example.org";
    fresh.listen.smtp = {{"127.0.0.1", 2525}};
    fresh.smtp.recipients_max = 200;
    CHECK(keep_restart_keys(fresh, running) == std::vector<std::string>{"hostname", "listen.smtp"});
    CHECK(fresh.hostname == "mail.example.org");
    CHECK(fresh.listen.smtp == running.listen.smtp);
    CHECK(fresh.smtp.recipients_max == 200);
    CHECK(keep_restart_keys(fresh, running).empty());
}

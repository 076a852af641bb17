// What is there after a process or the machine just stopped. A copy of the files of an open account
// stands for the first; for the second, the log is also cut back to what was synced, and the epoch
// is raised as master does.
#include "tests/unit/store/fixture.h"

#include "common/store/sqlite_account.h"

#include <sys/syscall.h>
#include <sys/wait.h>

using namespace tambo;
using namespace tambo::store;

namespace {

// Every sync of this program goes through here, SQLite's too (the functions below).
struct Syncs {
    int files = 0, logs = 0;
    uintmax_t log_bytes = 0; // of the log when it was last synced: what a power cut leaves
    int fails_in = 0;        // so many syncs from now one fails with EIO; 0: none
} syncs;

int watched_sync(int fd, long number) {
    if (syncs.fails_in > 0 && --syncs.fails_in == 0) {
        errno = EIO;
        return -1;
    }
    char name[512];
    const auto length = ::readlink(cat("/proc/self/fd/", fd).c_str(), name, sizeof name);
    if (length > 0 &&
        std::string_view(name, static_cast<size_t>(length)).ends_with("index.db-wal")) {
        ++syncs.logs;
        syncs.log_bytes = static_cast<uintmax_t>(::lseek(fd, 0, SEEK_END));
    } else {
        ++syncs.files;
    }
    return static_cast<int>(::syscall(number, fd));
}

} // namespace

extern "C" int fsync(int fd) {
    return watched_sync(fd, SYS_fsync);
}
extern "C" int fdatasync(int fd) {
    return watched_sync(fd, SYS_fdatasync);
}

namespace {

// A power cut: what was written to the log since its last sync is gone.
void power_cut(Fixture& f) {
    const uintmax_t bytes = syncs.log_bytes;
    const std::string copy = f.top + "/copy";
    std::filesystem::copy(f.dir, copy, std::filesystem::copy_options::recursive);
    f.account.reset();
    std::filesystem::remove_all(f.dir);
    std::filesystem::rename(copy, f.dir);
    std::filesystem::resize_file(f.dir + "/index.db-wal", bytes);
    ++f.options.epoch;
    f.open();
}

uintmax_t log_bytes(const Fixture& f) {
    return std::filesystem::file_size(f.dir + "/index.db-wal");
}

} // namespace

TEST_CASE("a killed process loses nothing that was committed") {
    Fixture f;
    REQUIRE(f.account->create("a/b").ok());
    f.append("INBOX", "one", kSeen);
    REQUIRE(f.deliver(f.delivery(1)).ok());
    {
        const auto inbox = f.select();
        REQUIRE(
            f.account->store_flags(*inbox, Uids{2}, {StoreMode::add, kFlagged, {"K"}, {}}, nullptr)
                .ok());
        REQUIRE(f.account->copy(*inbox, Uids{1, 2}, "a/b", nullptr).ok());
        REQUIRE(f.account->discard(*inbox, Uids{1}, nullptr).ok());
    }
    const auto status = f.status();
    f.crash();
    CHECK(f.status().uidnext == 3); // same epoch: the page cache is still there
    CHECK(f.status().highestmodseq == status.highestmodseq);
    CHECK(f.account->usage().messages == 3);
    const auto inbox = f.select();
    CHECK(uids_in(*inbox) == Uids{2});
    CHECK(inbox->keywords().names(inbox->entries()[0].keywords) == Names{"K"});
    CHECK(f.select("a/b")->entries().size() == 2);
    CHECK(f.deliver(f.delivery(1))->already);
}

TEST_CASE("after a power cut no uid and no modseq is used again") {
    Fixture f;
    f.append();
    std::vector<uint32_t> shown;
    uint64_t modseq = 0;
    for (uint64_t i = 1; i <= 5; ++i) {
        shown.push_back(f.deliver(f.delivery(i))->uid);
        modseq = f.status().highestmodseq;
    }
    power_cut(f);
    CHECK(f.status().messages == 1);
    CHECK(f.status().uidnext > shown.back());
    CHECK(f.status().highestmodseq > modseq);
    {
        const auto inbox = f.select();
        // Who was shown the lost messages learns that it must compare.
        CHECK_FALSE((*f.account->vanished_since(*inbox, modseq)).has_value());
    }
    const auto again = f.deliver(f.delivery(3)); // queued replays
    REQUIRE(again.ok());
    CHECK_FALSE(again->already);
    CHECK(again->uid > shown.back());
    CHECK(f.select()->find(again->uid)->modseq > modseq);
}

TEST_CASE("marks are durable before the uids below them are shown") {
    Fixture f;
    f.append();
    uint64_t queue = 0;
    for (int round = 0; round < 4; ++round) {
        std::vector<Delivery> batch;
        for (int i = 0; i < 700; ++i)
            batch.push_back(f.delivery(++queue));
        const uint32_t last = f.account->deliver(batch).back()->uid;
        const uint64_t modseq = f.status().highestmodseq;
        power_cut(f);
        CHECK(f.status().uidnext > last);
        CHECK(f.status().highestmodseq > modseq);
        CHECK(f.deliver(f.delivery(++queue))->uid > last);
    }
}

TEST_CASE("what is acknowledged to a client is synced, filing is not") {
    Fixture f;
    f.append();
    REQUIRE(f.deliver(f.delivery(1)).ok());
    const auto inbox = f.select();
    const auto count = [&](auto step) {
        syncs = Syncs{0, 0, syncs.log_bytes};
        step();
        return std::pair(syncs.files, syncs.logs);
    };
    using Pair = std::pair<int, int>;
    const Pair append = count([&] { f.append(); });
    CHECK(append.first >= 1); // the body, and its directory where the filesystem wants that
    CHECK(append.second == 1);
    CHECK(count([&] { REQUIRE(f.deliver(f.delivery(2)).ok()); }) == Pair(0, 0));
    CHECK(count([&] {
              REQUIRE(
                  f.account->store_flags(*inbox, Uids{1}, {StoreMode::add, kSeen, {}, {}}, nullptr)
                      .ok());
          }) == Pair(0, 1));
    CHECK(count([&] { REQUIRE(f.account->copy(*inbox, Uids{1}, "Sent", nullptr).ok()); }) ==
          Pair(0, 1));
    CHECK(count([&] { REQUIRE(f.account->move(*inbox, Uids{1}, "Junk", nullptr).ok()); }) ==
          Pair(0, 1));
    CHECK(count([&] { REQUIRE(f.account->discard(*inbox, Uids{2}, nullptr).ok()); }) == Pair(0, 1));
    CHECK(count([&] { REQUIRE(f.account->create("new").ok()); }) == Pair(0, 1));
    CHECK(count([&] { REQUIRE(f.account->rename("new", "newer").ok()); }) == Pair(0, 1));
    CHECK(count([&] { REQUIRE(f.account->subscribe("newer", true).ok()); }) == Pair(0, 1));
    CHECK(count([&] { REQUIRE(f.account->remove("newer").ok()); }) == Pair(0, 1));
}

TEST_CASE("a change that was refused because of a failed sync does not come back") {
    Fixture f;
    f.append("INBOX", "kept");
    const auto refused = [&f](auto change, int sync) {
        syncs.fails_in = sync;
        const auto outcome = change();
        syncs.fails_in = 0;
        REQUIRE_FALSE(outcome.ok());
        CHECK(outcome.error() == Refusal::io_error);
        CHECK(f.account->failure() == Refusal::io_error);
        f.crash();
    };
    for (const int sync : {1, 2}) { // of the body, of the log
        std::vector<NewMessage> messages;
        messages.push_back(f.message("refused"));
        refused([&] { return f.account->append("INBOX", std::move(messages), nullptr); }, sync);
        CHECK(f.status().messages == 1);
        CHECK(f.bodies() == 1);
    }
    refused(
        [&] {
            const auto inbox = f.select();
            return f.account->discard(*inbox, Uids{1}, nullptr);
        },
        1);
    refused([&] { return f.account->create("refused"); }, 1);
    CHECK(f.account->status("refused").error() == Refusal::nonexistent);
    const auto inbox = f.select();
    CHECK(f.text(inbox->entries()[0]) == "kept");
    f.append("INBOX", "later");
    f.crash();
    CHECK(f.status().messages == 2);
}

TEST_CASE("files that cannot be opened are not taken for a failed disk") {
    Fixture f;
    f.append();
    std::filesystem::rename(f.dir + "/bodies", f.dir + "/elsewhere");
    CHECK(f.account->new_body().error() == Refusal::unavailable);
    CHECK_FALSE(f.account->failure().has_value());
    std::filesystem::rename(f.dir + "/elsewhere", f.dir + "/bodies");
    f.append();
    CHECK(f.status().messages == 2);
    std::filesystem::create_directories(f.top + "/other/index.db");
    CHECK(Account::open(f.top + "/other", f.options).error() == Refusal::unavailable);
}

TEST_CASE("every crash lifts again, an unchanged epoch does not") {
    Fixture f;
    f.append();
    uint32_t uidnext = f.status().uidnext;
    for (int i = 0; i < 3; ++i) {
        ++f.options.epoch;
        f.open();
        CHECK(f.status().uidnext >= uidnext);
        uidnext = f.append() + 1;
    }
    f.open();
    CHECK(f.status().uidnext == uidnext);
    f.open();
    CHECK(f.append() == uidnext);
    CHECK(f.status("Sent").uidnext == 1); // nothing was ever shown of it
}

TEST_CASE("a delivery whose commit was cut away is filed by the replay") {
    Fixture f;
    f.append();
    const auto delivery = f.delivery(9);
    REQUIRE(f.deliver(delivery).ok());
    power_cut(f);
    CHECK(f.status().messages == 1);
    CHECK_FALSE(f.deliver(delivery)->already);
    CHECK(f.status().messages == 2);
    CHECK(f.bodies() == 2);
}

TEST_CASE("a log that is cut anywhere gives a state that once was") {
    Fixture f;
    f.append("INBOX", "start");
    f.tidy_all();
    std::vector<std::pair<uintmax_t, MailboxStatus>> states;
    states.emplace_back(log_bytes(f), f.status());
    for (uint64_t i = 1; i <= 4; ++i) {
        REQUIRE(f.deliver(f.delivery(i)).ok());
        const auto inbox = f.select();
        REQUIRE(f.account->discard(*inbox, Uids{static_cast<uint32_t>(i)}, nullptr).ok());
        states.emplace_back(log_bytes(f), f.status());
    }
    const auto full = log_bytes(f);
    const std::string kept = f.top + "/kept";
    std::filesystem::copy(f.dir, kept, std::filesystem::copy_options::recursive);
    for (uintmax_t cut = 0; cut <= full; cut += full / 23 + 1) {
        f.account.reset();
        std::filesystem::remove_all(f.dir);
        std::filesystem::copy(kept, f.dir, std::filesystem::copy_options::recursive);
        std::filesystem::resize_file(f.dir + "/index.db-wal", cut);
        auto opened = Account::open(f.dir, f.options);
        if (!opened.ok()) continue; // before the very first commit there is nothing
        f.account = std::move(*opened);
        const auto inbox = f.select();
        CHECK(inbox->entries().size() == inbox->status().messages);
        uint64_t bytes = 0;
        for (const Entry& entry : inbox->entries()) {
            bytes += entry.size;
            CHECK(f.account->open_message(entry).ok());
        }
        CHECK(bytes == inbox->status().bytes);
    }
}

TEST_CASE("a damaged index is refused, not served") {
    Fixture f;
    for (int i = 0; i < 50; ++i)
        f.append();
    f.select();
    f.tidy_all();
    auto* account = static_cast<SqliteAccount*>(f.account.get());
    REQUIRE(account->index().db().checkpoint_truncate());
    account->index().db().run("UPDATE account SET clean=0");
    f.account.reset();
    SECTION("found when the epoch rises after an unclean end") {
        std::fstream file(f.dir + "/index.db", std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096 * 3);
        for (int i = 0; i < 4096 * 8; ++i)
            file.put('\x55');
        file.close();
        ++f.options.epoch;
        CHECK(Account::open(f.dir, f.options).error() == Refusal::corrupt);
    }
    SECTION("another process has it") {
        f.open();
        const pid_t child = ::fork();
        if (child == 0) {
            const auto second = Account::open(f.dir, f.options);
            ::_exit(!second.ok() && second.error() == Refusal::busy ? 0 : 1);
        }
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
    SECTION("a predecessor that is closing is waited for") {
        int ready[2];
        REQUIRE(::pipe(ready) == 0);
        const pid_t child = ::fork();
        if (child == 0) {
            auto first = Account::open(f.dir, f.options);
            const char ok = first.ok() ? 'y' : 'n';
            static_cast<void>(::write(ready[1], &ok, 1));
            ::usleep(300'000);
            ::_exit(0);
        }
        char ok = 0;
        REQUIRE(::read(ready[0], &ok, 1) == 1);
        CHECK(ok == 'y');
        CHECK(Account::open(f.dir, f.options).error() == Refusal::busy);
        f.options.busy_wait_ms = 10'000;
        f.open();
        CHECK(f.status().messages == 50);
        int status = -1;
        REQUIRE(::waitpid(child, &status, 0) == child);
        ::close(ready[0]);
        ::close(ready[1]);
    }
    SECTION("no directory") {
        CHECK(Account::open(f.top + "/none", f.options).error() == Refusal::nonexistent);
    }
}

// A disk that fails under accounts.db: nothing is acknowledged any more, what was refused stays
// refused, and who asks goes on being answered (RULES.md R2, R24).
#include "tests/unit/authd/admin_command.h"
#include "tests/unit/authd/service_fixture.h"
#include "tests/unit/failing_sync.h"

#include <sysexits.h>

using namespace tambo;
using namespace tambo::authd;
using namespace tambo::authd::test;

namespace {

using Change = std::function<void(Directory&)>;

const Id kAlice{0, 1};

std::vector<std::pair<const char*, Change>> changes() {
    Account carol;
    carol.id = Id{0, 3};
    carol.local = "carol";
    carol.domain = "example.test";
    carol.address = "carol@example.test";
    return {
        {"add_domain", [](Directory& d) { d.add_domain("other.test"); }},
        {"remove_domain", [](Directory& d) { d.remove_domain("empty.test"); }},
        {"disable domain", [](Directory& d) { d.set_domain_disabled("example.test", true); }},
        {"add_account", [carol](Directory& d) { d.add_account(carol, Credential{}); }},
        {"remove_account", [](Directory& d) { d.remove_account(kAlice); }},
        {"disable account", [](Directory& d) { d.set_account_disabled(kAlice, true); }},
        {"quota", [](Directory& d) { d.set_quota(kAlice, 4096, 7); }},
        {"credential", [](Directory& d) { d.set_credential(kAlice, Credential{}); }},
        {"add_aliases",
         [](Directory& d) {
             d.add_aliases("sales", "example.test", {"alice@example.test", "bob@example.test"});
         }},
        {"remove_aliases",
         [](Directory& d) { d.remove_aliases("all", "example.test", {"alice@example.test"}); }},
        {"setting", [](Directory& d) { d.set_setting("postmaster", "bob@example.test"); }},
    };
}

// Everything that there is, to be compared.
std::string picture(Directory& directory) {
    std::string all;
    for (const auto& d : directory.domains())
        all += cat(d.name, ' ', d.disabled, '\n');
    for (const auto& a : directory.accounts("")) {
        all += cat(a.address, ' ', a.disabled, ' ', a.quota_bytes, ' ', a.quota_messages);
        for (const auto& c : directory.credentials(a.id))
            all += cat(' ', c.kind, ' ', c.verifier);
        all += '\n';
    }
    for (const auto& a : directory.aliases(""))
        all += cat(a.local, '@', a.domain, ' ', a.target, '\n');
    return all + directory.setting("postmaster").value_or("none");
}

// accounts.db alone.
struct Accounts {
    std::string dir = temporary_directory();
    TestClock clock;
    std::optional<Directory> directory{std::in_place, dir + "/accounts.db", clock};
    std::vector<std::string> faults;

    Accounts() {
        directory->on_fault = [this](const std::string& what) { faults.push_back(what); };
        directory->add_domain("example.test");
        directory->add_domain("empty.test");
        for (const auto& [local, id] : {std::pair{"alice", 1u}, std::pair{"bob", 2u}}) {
            Account account;
            account.id = Id{0, id};
            account.local = local;
            account.domain = "example.test";
            account.address = cat(local, "@example.test");
            directory->add_account(account, Credential{});
        }
        directory->add_aliases("all", "example.test", {"alice@example.test", "bob@example.test"});
    }
    ~Accounts() {
        sync_fails = 0;
        directory.reset();
        std::filesystem::remove_all(dir);
    }
    // The file as whoever opens it after a kill -9 finds it.
    std::string picture_of_the_file() {
        const std::string copy = dir + "/copy.db";
        for (const auto* end : {"", "-wal"}) {
            std::filesystem::copy_file(cat(dir, "/accounts.db", end), cat(copy, end),
                                       std::filesystem::copy_options::overwrite_existing);
        }
        Directory found(copy, clock);
        return picture(found);
    }
};

// A whole authd, and who asks it as tambo(8) does.
struct Rig : Suite {
    AdminCommand command{nursery, *service, dir};

    ~Rig() {
        sync_fails = 0;
        command.hang_up();
        nursery.cancel();
        command.close();
    }
    ipc::AdminAnswer
    ask(const char* verb, std::vector<std::string> words, std::string secret = "") {
        return command.ask(verb, std::move(words), std::move(secret));
    }
};

} // namespace

TEST_CASE("a change whose sync fails is not there, neither now nor after a kill") {
    for (const int error : {EIO, ENOSPC}) {
        for (const auto& [name, change] : changes()) {
            CAPTURE(error, name);
            Accounts r;
            const std::string before = picture(*r.directory);
            REQUIRE(r.picture_of_the_file() == before);
            sync_fails = error;
            CHECK_THROWS_AS(change(*r.directory), db::IoError);
            sync_fails = 0;
            CHECK(picture(*r.directory) == before);
            CHECK(r.picture_of_the_file() == before);
            CHECK(r.faults.size() == 1);
        }
    }
}

TEST_CASE("after a failed sync nothing is changed any more, and master is told once") {
    Accounts r;
    const std::string before = picture(*r.directory);
    sync_fails = EIO;
    CHECK_THROWS_AS(r.directory->set_quota(kAlice, 1, 1), db::IoError);
    sync_fails = 0;
    r.directory->set_read_only(true);
    r.directory->set_read_only(false); // the disk works again; this process does not know it
    for (const auto& [name, change] : changes()) {
        CAPTURE(name);
        CHECK_THROWS_AS(change(*r.directory), db::DbError);
    }
    CHECK(picture(*r.directory) == before);
    CHECK(r.picture_of_the_file() == before);
    CHECK(r.faults.size() == 1);
}

TEST_CASE("every change is synced, and refused while somebody else's storage is at fault") {
    for (const auto& [name, change] : changes()) {
        CAPTURE(name);
        Accounts r;
        const std::string before = picture(*r.directory);
        r.directory->set_read_only(true);
        CHECK_THROWS_AS(change(*r.directory), db::DbError);
        CHECK(picture(*r.directory) == before);
        r.directory->set_read_only(false);
        syncs = 0;
        change(*r.directory);
        CHECK(syncs > 0);
        CHECK(r.faults.empty());
    }
}

TEST_CASE("the administrator is told 74, and nobody's session ends by what was refused") {
    Rig r;
    REQUIRE(log_in_as(r, "alice", "s1") == "");
    sync_fails = EIO;
    auto answer = r.ask("password.set", {"alice@example.test"}, "correct horse battery");
    CHECK(answer.exit_code == EX_IOERR);
    CHECK(answer.error.starts_with("the disk has failed, nothing was changed: "));
    sync_fails = 0;
    answer = r.ask("user.quota", {"alice@example.test", "4G"});
    CHECK(answer.exit_code == EX_IOERR);
    CHECK(answer.error.starts_with("the disk has failed, nothing was changed: "));
    answer = r.ask("user.remove", {"alice@example.test"});
    CHECK(answer.exit_code == EX_IOERR);
    settle(r);
    CHECK(r.keeper.kicked.empty());
    CHECK(r.ask("user.show", {"alice@example.test"}).exit_code == 0);
    CHECK(log_in_as(r, "alice", "s2") == "");
}

TEST_CASE("the log of the database does not grow for ever") {
    Accounts r;
    for (int i = 0; i < 3000; ++i)
        r.directory->set_quota(kAlice, i + 1, 0);
    CHECK(std::filesystem::file_size(r.dir + "/accounts.db-wal") < (10u << 20));
    CHECK(r.faults.empty());
}

// The verbs of control/authd.sock, asked as tambo(8) does.
#include "authd/admin.h"

#include "common/base/text.h"
#include "common/sys/clock.h"
#include "tests/unit/authd/admin_command.h"

#include <catch2/catch.hpp>

#include <sysexits.h>

#include <cstdlib>
#include <filesystem>

using namespace tambo;
using namespace tambo::authd;

namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string temporary_directory() {
    char path[] = "/tmp/tambo-authd-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    return path;
}

conf::AuthdConfig config() {
    conf::AuthdConfig c;
    c.hostname = "mail.example.test";
    c.plus_separator = "+";
    return c;
}

struct Served {
    std::string dir = temporary_directory();
    SystemClock clock;
    Loop loop;
    std::optional<Directory> directory{std::in_place, dir + "/accounts.db", clock};
    Workers workers{loop, 1};
    Nursery nursery{loop};
    std::optional<Service> service{std::in_place, nursery, *directory, workers, clock, config()};
    test::AdminCommand command{nursery, *service, dir};

    Served() {
        directory->add_domain("example.test");
        add("alice", 1);
        add("bob", 2);
    }
    ~Served() {
        command.hang_up();
        nursery.finish();
        command.close();
        service.reset();
        directory.reset();
        std::filesystem::remove_all(dir);
    }
    void add(const std::string& local, uint64_t id) {
        Account account;
        account.id = Id{0, id};
        account.local = local;
        account.domain = "example.test";
        account.address = local + "@example.test";
        REQUIRE(directory->add_account(account, Credential{}));
    }
    ipc::AdminAnswer ask(const std::string& verb, std::vector<std::string> words = {}) {
        return command.ask(verb, std::move(words));
    }
};

} // namespace

TEST_CASE("an alias to nobody is refused unless it is meant") {
    Served s;
    const auto refused =
        s.ask("alias.add", {"team@example.test", "bob@example.test", "bbo@example.test"});
    CHECK(refused.exit_code == EX_NOUSER);
    CHECK(refused.error.find("bbo@example.test leads nowhere") != std::string::npos);
    CHECK(s.ask("alias.list").rows.empty()); // all or nothing
    for (const auto* target : {"bob@example.test", "x@remote.test", "postmaster@example.test",
                               "root@mail.example.test", "alice+x@example.test"}) {
        INFO(target);
        CHECK(s.ask("alias.add", {"team@example.test", target}).exit_code == 0);
    }
    CHECK(s.ask("alias.add", {"bob@example.test", "bob@example.test", "x@remote.test"}).exit_code ==
          0); // its own account
    CHECK(s.ask("alias.add", {"nobody@example.test", "nobody@example.test"}).exit_code ==
          EX_NOUSER);
    CHECK(s.ask("alias.add", {"team@example.test", "later@example.test", "force"}).exit_code == 0);
    CHECK(s.ask("alias.check").rows ==
          Rows{{"team@example.test", "later@example.test", "missing"}});
}

TEST_CASE("aliases that lead nowhere are shown, at the latest when their account goes") {
    Served s;
    s.ask("alias.add", {"team@example.test", "alice@example.test", "bob@example.test"});
    s.ask("alias.add", {"both@example.test", "team@example.test"});
    CHECK(s.ask("alias.check").rows.empty());
    CHECK(s.ask("user.disable", {"bob@example.test"}).exit_code == 0);
    CHECK(s.ask("alias.list").rows == Rows{{"both@example.test", "team@example.test", ""},
                                           {"team@example.test", "alice@example.test", ""},
                                           {"team@example.test", "bob@example.test", "disabled"}});
    CHECK(s.ask("user.enable", {"bob@example.test"}).exit_code == 0);
    const auto removed = s.ask("user.remove", {"bob@example.test"});
    CHECK(removed.exit_code == 0);
    CHECK(removed.rows == Rows{{"team@example.test", "bob@example.test", "missing"}});
    CHECK(s.ask("address.explain", {"team@example.test"}).rows ==
          Rows{{"local", "alice@example.test", "", ""}, {"missing", "bob@example.test", "", ""}});
    s.add("carol", 3);
    s.ask("postmaster", {"carol@example.test"});
    CHECK(s.ask("address.explain", {"both@example.test"}).rows ==
          Rows{{"local", "alice@example.test", "", ""},
               {"missing", "bob@example.test", "", ""},
               {"instead", "carol@example.test", "", ""}});
    // Nothing that was dangling before is blamed on this account.
    CHECK(s.ask("user.remove", {"carol@example.test"}).rows.empty());
}

TEST_CASE("explain takes the names of the host as sendmail does") {
    Served s;
    const Rows alice{{"local", "alice@example.test", "", ""}};
    CHECK(s.ask("address.explain", {"root"}).rows == alice);
    CHECK(s.ask("address.explain", {"postmaster"}).rows == alice);
    CHECK(s.ask("address.explain", {"root@mail.example.test"}).rows == alice);
    CHECK(s.ask("address.explain", {"nobody-here"}).exit_code == 1);
    CHECK(s.ask("address.explain", {""}).exit_code == EX_DATAERR);
    CHECK(s.ask("address.explain", {"abuse@example.test"}).rows == alice);
    CHECK(s.ask("address.explain", {"root@example.test"}).exit_code == 1);
}

TEST_CASE("who cannot have it all gets it through the postmaster, and queued hears the name") {
    Served s;
    s.ask("alias.add", {"team@example.test", "bob@example.test", "gone@example.test", "force"});
    s.ask("postmaster", {"alice@example.test"});
    ipc::Resolve question;
    question.service = ipc::Service::mx;
    question.recipients = {"team@example.test", "bob@example.test"};
    const auto resolution = s.service->resolve(question);
    REQUIRE(resolution.recipients.size() == 2);
    const auto& team = resolution.recipients[0];
    CHECK(team.refusal.code == 0);
    CHECK(team.missing == std::vector<std::string>{"gone@example.test"});
    REQUIRE(team.targets.size() == 2);
    CHECK(team.targets[1].address == "alice@example.test");
    CHECK(resolution.recipients[1].missing.empty());
    // It is no right to send: alice may not write as the team.
    Login login;
    login.account = Id{0, 1};
    login.address = "alice@example.test";
    const auto token = s.service->token_for(login);
    CHECK(s.service->check_sender(token, "team@example.test").code == 553);
}

TEST_CASE("what an account cannot be made of is known before its password") {
    Served s;
    CHECK(s.ask("user.check", {"carol@example.test", "quota=2G"}).exit_code == 0);
    CHECK(s.ask("user.check", {"bob@example.test"}).exit_code == EX_CANTCREAT);
    CHECK(s.ask("user.check", {"bob@other.test"}).exit_code == EX_NOHOST);
    CHECK(s.ask("user.check", {"bob"}).exit_code == EX_DATAERR);
    CHECK(s.ask("user.check", {"carol@example.test", "quota=much"}).exit_code == EX_USAGE);
    CHECK(s.ask("user.check").exit_code == EX_USAGE);
    CHECK(s.ask("user.list").rows.size() == 2);
}

TEST_CASE("the postmaster is an account of this server, and its state is told") {
    Served s;
    CHECK(s.ask("postmaster").rows == Rows{{"alice@example.test", "enabled"}});
    CHECK(s.ask("postmaster", {"away@remote.test"}).exit_code == EX_NOUSER);
    CHECK(s.ask("postmaster", {"nobody@example.test"}).exit_code == EX_NOUSER);
    CHECK(s.ask("postmaster", {"bob@example.test"}).rows == Rows{{"bob@example.test", "enabled"}});
    s.ask("alias.add", {"abuse@example.test", "bob@example.test"});
    CHECK(s.ask("user.disable", {"bob@example.test"}).rows ==
          Rows{{"abuse@example.test", "bob@example.test", "disabled"}});
    CHECK(s.ask("postmaster").rows == Rows{{"bob@example.test", "disabled"}});
    CHECK(s.ask("address.explain", {"root"}).exit_code == 1);
    CHECK(s.ask("postmaster", {"alice@example.test"}).exit_code == 0);
    CHECK(s.ask("address.explain", {"root"}).exit_code == 0);
}

TEST_CASE("what is wrong with /etc/aliases is told with its place, and explain names a circle") {
    Served s;
    s.service->set_aliases_file("# of the host\none: two\ntwo: one\nlist: |/bin/run\nnonsense\n"
                                "gone: nobody@example.test\n");
    CHECK(s.ask("aliases_file.check").rows == Rows{{"line 4", "|/bin/run", "unsupported"},
                                                   {"line 5", "nonsense", "malformed"},
                                                   {"gone", "nobody@example.test", "missing"},
                                                   {"one", "one@mail.example.test", "circle"},
                                                   {"two", "two@mail.example.test", "circle"}});
    CHECK(
        s.ask("address.explain", {"one"}).rows ==
        Rows{{"local", "alice@example.test", "", ""}, {"circle", "one@mail.example.test", "", ""}});
}

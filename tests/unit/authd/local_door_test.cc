// Users of the host, and files in drop/: passed to submit, and to nobody else.
#include "authd/local_door.h"

#include "tests/unit/authd/service_fixture.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>
#include <vector>

using namespace tambo;
using namespace tambo::authd;
using namespace tambo::authd::test;
using namespace std::string_view_literals;

namespace {

// The submission daemon: takes what authd passes, unless it is told to keep silent.
struct Submit {
    explicit Submit(Suite& suite) : s(suite) {
        s.client.on<ipc::LocalArrival>(*this, &Submit::take);
    }
    task<ipc::LocalTaken> take(ipc::LocalArrival arrival) {
        arrivals.push_back(std::move(arrival));
        while (silent)
            co_await sleep_ms(s.nursery, 5);
        co_return ipc::LocalTaken{};
    }
    Suite& s;
    std::vector<ipc::LocalArrival> arrivals;
    bool silent = false;
};

// submit.sock, as master makes it.
struct Door {
    sockaddr_un address{};
    UniqueFd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    explicit Door(const std::string& directory) {
        address.sun_family = AF_UNIX;
        const std::string path = directory + "/submit.sock";
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        const auto* raw = reinterpret_cast<const sockaddr*>(&address);
        REQUIRE(::bind(listener.get(), raw, sizeof address) == 0);
        REQUIRE(::listen(listener.get(), 100) == 0);
    }
    UniqueFd connect() const {
        UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const auto* raw = reinterpret_cast<const sockaddr*>(&address);
        REQUIRE(::connect(client.get(), raw, sizeof address) == 0);
        return client;
    }
};

} // namespace

TEST_CASE("a user of the host is known by the kernel's word, and passed to submit") {
    Suite s("submit.0");
    Submit submit(s);
    Door door(s.dir);
    s.service->local_door().listen(std::move(door.listener));
    const UniqueFd client = door.connect();
    settle(s);
    REQUIRE(submit.arrivals.size() == 1);
    const auto& arrival = submit.arrivals[0];
    CHECK(arrival.uid == ::getuid());
    CHECK(arrival.drop_name.empty());
    CHECK(arrival.address == cat("uid", ::getuid(), "@mail.example.test")); // no passwd was given
    const auto login = s.service->tokens().open(arrival.token);
    REQUIRE(login);
    CHECK_FALSE(login->is_account);
    CHECK(login->uid == ::getuid());
    // It is the very connection.
    REQUIRE(::write(arrival.descriptor.get(), "220", 3) == 3);
    char text[4] = {};
    CHECK(::read(client.get(), text, 3) == 3);
    CHECK(text == "220"sv);
    CHECK(s.service->local_door().passing() == 0);
}

TEST_CASE("nobody but submit gets users of the host, and nobody can name one") {
    for (const auto* name : {"mx.0", "imapd.0", "queued"}) {
        Suite s(name);
        Submit submit(s);
        Door door(s.dir);
        s.service->local_door().listen(std::move(door.listener));
        const UniqueFd client = door.connect();
        settle(s);
        CHECK(submit.arrivals.empty());
    }
    Suite s("submit.0");
    bool lost = false;
    s.nursery.spawn([](Suite& suite, bool& out) -> task<> {
        ipc::LocalArrival claim;
        claim.uid = 0;
        try {
            co_await suite.client.call(std::move(claim));
        } catch (const ipc::PeerLost&) {
            out = true;
        }
    }(s, lost));
    settle(s);
    CHECK(lost);
    CHECK_FALSE(s.server.connected()); // what submit asks is not what submit may ask
}

TEST_CASE("the owner of a file in drop/ is its sender; what is no plain file is not passed") {
    Suite s("submit.0");
    Submit submit(s);
    const std::string path = s.dir + "/0123";
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (::getuid() == 0) REQUIRE(::fchown(file.get(), 12345, 12345) == 0);
    const uint32_t owner = ::getuid() == 0 ? 12345 : ::getuid();
    LocalDoor& door = s.service->local_door();
    CHECK(door.pass_file("0123", UniqueFd(::dup(file.get()))));
    settle(s);
    REQUIRE(submit.arrivals.size() == 1);
    CHECK(submit.arrivals[0].drop_name == "0123");
    CHECK(submit.arrivals[0].uid == owner);
    CHECK(s.service->tokens().open(submit.arrivals[0].token)->uid == owner);

    REQUIRE(::link(path.c_str(), (path + "-2").c_str()) == 0);
    CHECK_FALSE(door.pass_file("0123", std::move(file)));
    CHECK_FALSE(door.pass_file("dir", UniqueFd(::open(s.dir.c_str(), O_RDONLY | O_CLOEXEC))));
    CHECK_FALSE(door.pass_file("none", UniqueFd()));
    settle(s);
    CHECK(submit.arrivals.size() == 1);
}

TEST_CASE("while submit does not take them, connections of the host wait in the kernel") {
    Suite s("submit.0");
    Submit submit(s);
    submit.silent = true;
    Door door(s.dir);
    s.service->local_door().listen(std::move(door.listener));
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 80; ++i)
        clients.push_back(door.connect());
    settle(s);
    CHECK(s.service->local_door().passing() == 32);
    submit.silent = false;
    for (int i = 0; i < 1000 && submit.arrivals.size() < clients.size(); ++i) {
        s.nursery.spawn([](Suite& suite) -> task<> {
            co_await sleep_ms(suite.nursery, 5);
            suite.loop.stop();
        }(s));
        s.loop.run();
    }
    CHECK(submit.arrivals.size() == clients.size());
}

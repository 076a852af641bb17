// The keeper between authd and account processes, which the test plays: the zygote's orders arrive
// at a socket, and each brings the channel of a process.
#include "mailboxd/keeper.h"

#include "common/base/limits.h"
#include "common/base/text.h"
#include "common/ipc/codec.h"
#include "common/sys/clock.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "tests/unit/turn.h"

#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>

using namespace tambo;
using namespace tambo::mailboxd;

namespace {

// A process that waits to be killed.
class Sleeper {
  public:
    Sleeper() : pid_(::fork()) {
        if (pid_ != 0) return;
        for (;;)
            ::pause();
    }
    ~Sleeper() { end(); }
    Sleeper(const Sleeper&) = delete;
    UniqueFd pidfd() const {
        return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    }
    void end() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }

  private:
    pid_t pid_;
};

// What an account's process does with its channel.
class AccountEnd {
  public:
    AccountEnd(Nursery& nursery, Spawn order)
        : channel(nursery, "keeper"), quota_bytes(order.quota_bytes) {
        channel.on<ipc::AttachSession>(*this, &AccountEnd::attach);
        channel.on<ipc::SetQuota>(*this, &AccountEnd::set_quota);
        channel.attach(std::move(order.channel));
        channel.send(ipc::AccountStarted{process.pidfd()});
    }
    Sleeper process;
    ipc::Channel channel;
    std::vector<std::string> sessions; // their sids
    uint64_t quota_bytes;

  private:
    task<ipc::AttachAnswer> attach(ipc::AttachSession message) {
        sessions.push_back(message.sid);
        co_return ipc::AttachAnswer{true, ""};
    }
    void set_quota(ipc::SetQuota message) { quota_bytes = message.bytes; }
};

struct Mail {
    std::string directory = "/tmp/tambo-keeper-XXXXXX";
    std::filesystem::path before = std::filesystem::current_path();
    SystemClock clock;
    Loop loop;
    Nursery nursery{loop};
    UniqueFd orders;
    std::optional<Zygote> zygote;
    std::optional<Keeper> keeper;
    ipc::Channel authd{nursery, "keeper"};
    std::vector<std::unique_ptr<AccountEnd>> processes;
    uint64_t quota_bytes = 1000;  // that authd says
    std::vector<uint64_t> room{}; // that it was told

    Mail() {
        REQUIRE(::mkdtemp(directory.data()) != nullptr);
        std::filesystem::current_path(directory);
        auto [mine, theirs] = socket_pair(SOCK_SEQPACKET);
        orders = std::move(mine);
        set_nonblocking(orders.get());
        zygote.emplace(std::move(theirs));
        const Timing patient{3'600'000, 3'600'000, 3'600'000};
        keeper.emplace(nursery, *zygote, clock, conf::MailboxdConfig(), 1u, patient);
        auto [a, b] = socket_pair(SOCK_SEQPACKET);
        authd.on<ipc::AskAccount>(*this, &Mail::ask_account);
        authd.on<ipc::AccountRoom>(*this, &Mail::account_room);
        authd.attach(std::move(a));
        keeper->authd().attach(std::move(b));
    }
    ~Mail() {
        nursery.cancel();
        authd.drop("end");
        settle();
        for (const auto& process : processes)
            process->channel.drop("end");
        keeper.reset();
        std::filesystem::current_path(before);
        std::filesystem::remove_all(directory);
    }
    // New processes begin on the way.
    void settle() {
        for (int i = 0; i < 20; ++i) {
            turn(loop);
            Datagram datagram;
            const auto status = receive_datagram(orders.get(), limits::ipc_message_bytes,
                                                 limits::ipc_fds_max, datagram);
            if (status != ReceiveStatus::received) continue;
            auto order = ipc::decode<Spawn>(datagram.bytes, datagram.fds);
            REQUIRE(order);
            processes.push_back(std::make_unique<AccountEnd>(nursery, std::move(*order)));
        }
    }
    // What became of it is appended to out.
    void attach(const std::string& sid, std::string& out) {
        nursery.spawn([](Mail& mail, std::string name, std::string& result) -> task<> {
            ipc::AttachSession message;
            message.account = Id{0, 1};
            message.address = "alice@example.test";
            message.sid = std::move(name);
            message.quota_bytes = mail.quota_bytes;
            auto answer = co_await mail.authd.call(std::move(message), 60'000);
            result = answer.attached ? "attached" : answer.reason;
        }(*this, sid, out));
        settle();
    }
    task<ipc::AccountFacts> ask_account(ipc::AskAccount) {
        ipc::AccountFacts facts;
        facts.known = true;
        facts.address = "alice@example.test";
        facts.quota_bytes = quota_bytes;
        co_return facts;
    }
    void account_room(ipc::AccountRoom message) { room.push_back(message.refused_from_bytes); }
    void change_quota(uint64_t bytes) {
        quota_bytes = bytes;
        authd.send(ipc::AccountChanged{Id{0, 1}});
        settle();
    }
    void kick(uint64_t account) {
        authd.send(ipc::KickAccount{Id{0, account}, false});
        settle();
    }
};

} // namespace

TEST_CASE("A3: who is kicked while a session waits for a process gets no session in the next one") {
    Mail mail;
    std::string first, second, third;
    mail.attach("1", first);
    CHECK(first == "attached");
    mail.kick(1);
    mail.attach("2", second); // its predecessor has not ended yet
    CHECK(second.empty());
    mail.kick(1);
    REQUIRE(mail.processes.size() == 1);
    mail.processes[0]->process.end();
    mail.settle();
    CHECK(second == "kicked");
    mail.attach("3", third); // with the rights of now
    CHECK(third == "attached");
    REQUIRE(mail.processes.size() == 2);
    CHECK(mail.processes[0]->sessions == std::vector<std::string>{"1"});
    CHECK(mail.processes[1]->sessions == std::vector<std::string>{"3"});
}

TEST_CASE("A3: a session waits for its process though others are kicked, or itself was before") {
    Mail mail;
    std::string first, second;
    mail.attach("1", first);
    mail.kick(1);
    mail.attach("2", second);
    mail.kick(2);
    REQUIRE(mail.processes.size() == 1);
    mail.processes[0]->process.end();
    mail.settle();
    CHECK(second == "attached");
}

TEST_CASE("a quota that changes reaches the process there is, and the one that is waited for") {
    Mail mail;
    std::string first, second;
    mail.attach("first", first);
    REQUIRE(first == "attached");
    CHECK(mail.processes[0]->quota_bytes == 1000);
    mail.change_quota(2000);
    CHECK(mail.processes[0]->quota_bytes == 2000);
    // It ends, somebody waits for the next one, and comes with what was true before.
    mail.kick(1);
    mail.attach("second", second);
    CHECK(second.empty());
    mail.change_quota(3000);
    mail.processes[0]->process.end();
    mail.settle();
    REQUIRE(second == "attached");
    CHECK(mail.processes[1]->quota_bytes == 3000);
}

TEST_CASE("a process that is gone keeps nobody out: room that it did not tell of, a message only "
          "it knew") {
    Mail mail;
    std::string session;
    mail.attach("one", session);
    mail.processes[0]->channel.send(ipc::AccountRoom{Id{0, 7}, 1});
    mail.settle();
    CHECK(mail.room == std::vector<uint64_t>{1});
    mail.processes[0]->process.end(); // not let go by the keeper
    mail.processes[0]->channel.drop("crashed");
    mail.settle();
    CHECK(mail.room == std::vector<uint64_t>{1, 0});

    mail.attach("two", session);
    mail.processes[1]->channel.send(ipc::AccountRoom{Id{0, 1}, 500});
    mail.settle();
    mail.kick(1);
    CHECK(mail.room == std::vector<uint64_t>{1, 0, 500, 0});
    mail.processes[1]->process.end();
    mail.settle();

    // Without room for anything it stays so: whoever makes room has a process for it.
    mail.attach("three", session);
    mail.processes[2]->channel.send(ipc::AccountRoom{Id{0, 1}, 1});
    mail.settle();
    mail.kick(1);
    CHECK(mail.room == std::vector<uint64_t>{1, 0, 500, 0, 1});
    mail.change_quota(5000);
    CHECK(mail.room == std::vector<uint64_t>{1, 0, 500, 0, 1, 0});
}

#include "deliverd/deliverer.h"
#include "deliverd/linker.h"

#include "common/base/bytes.h"
#include "common/base/text.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

using namespace tambo;
using namespace tambo::deliverd;

namespace {

std::string temporary_directory() {
    char path[] = "/tmp/tambo-deliverd-XXXXXX";
    REQUIRE(::mkdtemp(path) != nullptr);
    return path;
}

struct Tree {
    std::string dir = temporary_directory();
    UniqueFd spool, mail;
    ipc::Deliver job;
    Tree() {
        std::filesystem::create_directories(dir + "/spool/5e");
        std::filesystem::create_directories(dir + "/mail");
        spool = open_or_throw(dir + "/spool", O_RDONLY | O_DIRECTORY);
        mail = open_or_throw(dir + "/mail", O_RDONLY | O_DIRECTORY);
        job.spool_name = "5e/body";
        job.facts.qid = Id{1, 2};
        job.facts.account = Id{3, 4};
        job.facts.body_bytes = 5;
        job.facts.body_crc32c = crc32c(0, "hello");
        const UniqueFd body = open_or_throw(dir + "/spool/5e/body", O_WRONLY | O_CREAT, 0440);
        write_all(body.get(), "hello", "body");
    }
    ~Tree() { std::filesystem::remove_all(dir); }
    std::string target() const { return dir + "/mail/" + Linker::target_path(job.facts); }
    void prepare() const {
        std::filesystem::create_directories(std::filesystem::path(target()).parent_path());
    }
};

struct FakeKeeper {
    const Tree& tree;
    int prepared = 0, filed = 0;
    task<ipc::ReplyText> prepare(ipc::PrepareAccount) {
        ++prepared;
        tree.prepare();
        co_return ipc::ReplyText{};
    }
    task<ipc::Delivered> file(ipc::FileMessage message) {
        ++filed;
        ipc::Delivered answer;
        answer.outcome = ipc::DeliveryOutcome::stored;
        answer.mailbox = "INBOX";
        answer.uid = message.facts.rcpt_no + 7;
        co_return answer;
    }
};

task<> ask(Loop& loop, ipc::Channel& channel, ipc::Deliver job, ipc::Delivered& out) {
    out = co_await channel.call(std::move(job));
    loop.stop();
}

} // namespace

TEST_CASE("a link is made once and found again") {
    Tree tree;
    const Linker linker(tree.spool.get(), tree.mail.get());
    CHECK(linker.link(tree.job).outcome == LinkOutcome::no_account);
    tree.prepare();
    CHECK(linker.link(tree.job).outcome == LinkOutcome::linked);
    CHECK(linker.link(tree.job).outcome == LinkOutcome::linked);
    CHECK(read_file(tree.target(), 100) == "hello");
    struct stat st {};
    REQUIRE(::stat(tree.target().c_str(), &st) == 0);
    CHECK(st.st_nlink == 2);
    // queued removes the spool's name after its barrier; a repeated job is still good.
    std::filesystem::remove(tree.dir + "/spool/5e/body");
    CHECK(linker.link(tree.job).outcome == LinkOutcome::linked);
    std::filesystem::remove(tree.target());
    CHECK(linker.link(tree.job).outcome == LinkOutcome::no_body);
}

TEST_CASE("a foreign file of the same name is never replaced") {
    Tree tree;
    const Linker linker(tree.spool.get(), tree.mail.get());
    tree.prepare();
    const UniqueFd other = open_or_throw(tree.target(), O_WRONLY | O_CREAT, 0600);
    write_all(other.get(), "something else", "other");
    CHECK(linker.link(tree.job).outcome == LinkOutcome::foreign);
    CHECK(read_file(tree.target(), 100) == "something else");
}

TEST_CASE("a job prepares the account, links and files") {
    Tree tree;
    const Linker linker(tree.spool.get(), tree.mail.get());
    Loop loop;
    Nursery nursery(loop);
    ipc::Channel queued(nursery, "queued"), keeper(nursery, "keeper");
    ipc::Channel queued_end(nursery, "deliverd"), keeper_end(nursery, "deliverd");
    FakeKeeper fake{tree};
    keeper_end.on<ipc::PrepareAccount>(fake, &FakeKeeper::prepare);
    keeper_end.on<ipc::FileMessage>(fake, &FakeKeeper::file);
    Deliverer deliverer(linker, queued, keeper);
    auto [a, b] = socket_pair(SOCK_SEQPACKET);
    queued.attach(std::move(a));
    queued_end.attach(std::move(b));
    auto [c, d] = socket_pair(SOCK_SEQPACKET);
    keeper.attach(std::move(c));
    keeper_end.attach(std::move(d));
    ipc::Delivered answer;
    nursery.spawn(ask(loop, queued_end, tree.job, answer));
    loop.run();
    CHECK(answer.outcome == ipc::DeliveryOutcome::stored);
    CHECK(answer.uid == 7);
    CHECK(fake.prepared == 1);
    std::filesystem::remove(tree.dir + "/spool/5e/body");
    std::filesystem::remove(tree.target());
    nursery.spawn(ask(loop, queued_end, tree.job, answer));
    loop.run();
    CHECK(answer.outcome == ipc::DeliveryOutcome::deferred);
    CHECK(fake.filed == 1);
    nursery.cancel();
}

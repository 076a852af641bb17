#include "deliverd/service.h"

#include "common/base/bytes.h"
#include "common/spool/directory.h"
#include "common/sys/fdpass.h"
#include "tests/unit/spool/scratch.h"

#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/stat.h>

using namespace tambo;
using namespace tambo::deliverd;
using tambo::test::Scratch;

namespace {

const std::string kText = "Subject: x\r\n\r\nhello\r\n";
const Id kQid{5, 0x1234};

ipc::DeliveryFacts facts() {
    ipc::DeliveryFacts f;
    f.qid = kQid;
    f.rcpt_no = 2;
    f.action_no = 1;
    f.account = Id{7, 8};
    f.recipient = "bob@example.test";
    f.body_bytes = kText.size();
    f.body_crc32c = crc32c(0, kText);
    return f;
}

const store::BodyName kName = store::BodyName::of({kQid, 2, 1});

void make_account(const std::string& mail) {
    namespace fs = std::filesystem;
    fs::create_directories(mail + "/" + facts().account.text() + "/bodies/" + kName.bucket());
}

std::string body_in(const std::string& mail) {
    return mail + "/" + facts().account.text() + "/" + kName.path();
}

ino_t inode(const std::string& path) {
    struct stat s {};
    REQUIRE(::stat(path.c_str(), &s) == 0);
    return s.st_ino;
}

void put(const std::string& path, std::string_view text) {
    const UniqueFd fd = open_or_throw(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    write_all(fd.get(), text, path);
}

// A spool with one message, and a mail directory, perhaps on another filesystem.
struct Place {
    Scratch scratch{"/tmp"};
    std::string spool, mail;
    std::unique_ptr<spool::Directory> directory;

    explicit Place(const std::string& mail_path = "") {
        spool = scratch / "spool";
        mail = mail_path.empty() ? scratch / "mail" : mail_path;
        std::filesystem::create_directories(spool);
        std::filesystem::create_directories(mail);
        directory =
            std::make_unique<spool::Directory>(open_or_throw(spool, O_RDONLY | O_DIRECTORY));
        const auto body = directory->create(kQid);
        write_all(body.writer.get(), kText, "body");
    }
    Linker linker(uint64_t reserve = 0) const {
        return Linker(open_or_throw(spool, O_RDONLY | O_DIRECTORY),
                      open_or_throw(mail, O_RDONLY | O_DIRECTORY), reserve);
    }
    std::string spool_file() const { return spool + "/" + spool::body_path(kQid); }
};

// A directory on tmpfs: another filesystem than /tmp.
struct Elsewhere {
    Scratch scratch{"/dev/shm"};
    std::string path = scratch.path;
};

} // namespace

TEST_CASE("a body is linked, once") {
    Place place;
    make_account(place.mail);
    Linker linker = place.linker();
    CHECK(linker.link(facts(), kName).what == Linked::made);
    CHECK(inode(body_in(place.mail)) == inode(place.spool_file()));
    CHECK(linker.link(facts(), kName).what == Linked::present);
    linker.unlink(facts(), kName);
    CHECK_FALSE(std::filesystem::exists(body_in(place.mail)));
    CHECK(std::filesystem::exists(place.spool_file()));
}

TEST_CASE("what is missing is told apart") {
    Place place;
    Linker linker = place.linker();
    CHECK(linker.link(facts(), kName).what == Linked::no_account);
    make_account(place.mail);
    place.directory->remove(kQid);
    CHECK(linker.link(facts(), kName).what == Linked::no_body);
}

TEST_CASE("an account cannot lead us out of its directory by a symbolic link") {
    Place place;
    make_account(place.mail);
    namespace fs = std::filesystem;
    const std::string account = place.mail + "/" + facts().account.text();
    const std::string other = place.scratch / "other";
    fs::create_directories(other + "/" + kName.bucket());
    fs::remove_all(account + "/bodies");
    fs::create_directory_symlink(other, account + "/bodies");
    CHECK(place.linker().link(facts(), kName).what == Linked::failed);
    CHECK(fs::is_empty(other + "/" + kName.bucket()));
}

TEST_CASE("another body of the name is an alarm and stays") {
    Place place;
    make_account(place.mail);
    std::string forged = kText;
    forged[0] = 'X';
    put(body_in(place.mail), forged);
    CHECK(place.linker().link(facts(), kName).what == Linked::collision);
    CHECK(read_file(body_in(place.mail), 100) == forged);
}

TEST_CASE("on another filesystem the body is copied, and known again") {
    Elsewhere elsewhere;
    Place place(elsewhere.path);
    struct stat here {
    }, there{};
    REQUIRE(::stat(place.spool.c_str(), &here) == 0);
    REQUIRE(::stat(place.mail.c_str(), &there) == 0);
    REQUIRE(here.st_dev != there.st_dev);
    make_account(place.mail);
    Linker linker = place.linker();
    const auto made = linker.link(facts(), kName);
    CHECK(made.what == Linked::made);
    CHECK(made.copied);
    CHECK(read_file(body_in(place.mail), 100) == kText);
    struct stat copy {};
    REQUIRE(::stat(body_in(place.mail).c_str(), &copy) == 0);
    CHECK((copy.st_mode & 0222) == 0);
    CHECK(linker.link(facts(), kName).what == Linked::present);
}

TEST_CASE("a copy that was cut short is made anew") {
    Elsewhere elsewhere;
    Place place(elsewhere.path);
    make_account(place.mail);
    put(body_in(place.mail), kText.substr(0, 5));
    CHECK(place.linker().link(facts(), kName).what == Linked::made);
    CHECK(read_file(body_in(place.mail), 100) == kText);
}

TEST_CASE("a copy keeps the reserve of the disk") {
    Elsewhere elsewhere;
    Place place(elsewhere.path);
    make_account(place.mail);
    const auto result = place.linker(UINT64_MAX / 2).link(facts(), kName);
    CHECK(result.what == Linked::full);
    CHECK_FALSE(std::filesystem::exists(body_in(place.mail)));
}

TEST_CASE("a body with as many links as the filesystem allows is copied") {
    Place place;
    make_account(place.mail);
    const std::string many = place.scratch / "many";
    std::filesystem::create_directories(many);
    int error = 0;
    for (int i = 0; error == 0 && i < 66'000; ++i) {
        const std::string name = many + "/" + std::to_string(i);
        if (::link(place.spool_file().c_str(), name.c_str()) != 0) error = errno;
    }
    if (error != EMLINK) {
        WARN("this filesystem allows more than 66,000 links");
        return;
    }
    const auto result = place.linker().link(facts(), kName);
    CHECK(result.what == Linked::made);
    CHECK(result.copied);
}

namespace {

struct FakeKeeper {
    std::string mail;
    int prepared = 0, filed = 0;
    ipc::ReplyText prepare_answer;
    ipc::Delivered file_answer;
    ipc::FileMessage last;

    task<ipc::ReplyText> prepare(ipc::PrepareAccount question) {
        ++prepared;
        CHECK(question.account == facts().account);
        if (prepare_answer.code == 0) make_account(mail);
        co_return prepare_answer;
    }
    task<ipc::Delivered> file(ipc::FileMessage message) {
        ++filed;
        CHECK(std::filesystem::exists(body_in(mail))); // link first, then row
        last = std::move(message);
        co_return file_answer;
    }
};

struct World {
    Place place;
    Loop loop;
    Nursery nursery{loop};
    Service service{nursery, place.linker()};
    ipc::Channel queued{nursery, "deliverd"}, keeper_side{nursery, "deliverd"};
    FakeKeeper keeper;
    ipc::Delivered answer;

    World() {
        keeper.mail = place.mail;
        auto [a, b] = socket_pair(SOCK_SEQPACKET);
        queued.attach(std::move(a));
        service.queued().attach(std::move(b));
        auto [c, d] = socket_pair(SOCK_SEQPACKET);
        service.keeper().attach(std::move(c));
        keeper_side.attach(std::move(d));
        keeper_side.on<ipc::PrepareAccount>(keeper, &FakeKeeper::prepare);
        keeper_side.on<ipc::FileMessage>(keeper, &FakeKeeper::file);
        keeper.file_answer.outcome = ipc::DeliveryOutcome::stored;
        keeper.file_answer.mailbox = "INBOX";
        keeper.file_answer.uid = 4;
    }
    ~World() { nursery.cancel(); }

    static task<> ask(World& world, ipc::Deliver request) {
        world.answer = co_await world.queued.call(std::move(request));
        world.loop.stop();
    }
    const ipc::Delivered& deliver(const std::string& spool_name = spool::body_path(kQid)) {
        ipc::Deliver request;
        request.facts = facts();
        request.spool_name = spool_name;
        nursery.spawn(ask(*this, std::move(request)));
        loop.run();
        return answer;
    }
};

} // namespace

TEST_CASE("the first delivery has the account made, then linked, then filed") {
    World world;
    CHECK(world.deliver().outcome == ipc::DeliveryOutcome::stored);
    CHECK(world.answer.mailbox == "INBOX");
    CHECK(world.answer.uid == 4);
    CHECK(world.keeper.prepared == 1);
    CHECK(world.keeper.last.facts.rcpt_no == 2);
    CHECK(world.keeper.last.facts.qid == kQid);
    world.deliver();
    CHECK(world.keeper.prepared == 1);
    CHECK(world.keeper.filed == 2);
}

TEST_CASE("a refused message leaves no body behind, a deferred or known one keeps it") {
    World world;
    for (const auto outcome : {ipc::DeliveryOutcome::deferred, ipc::DeliveryOutcome::duplicate}) {
        world.keeper.file_answer.outcome = outcome;
        CHECK(world.deliver().outcome == outcome);
        CHECK(std::filesystem::exists(body_in(world.place.mail)));
        std::filesystem::remove(body_in(world.place.mail));
    }
    world.keeper.file_answer.outcome = ipc::DeliveryOutcome::refused;
    world.keeper.file_answer.status = {552, "5.2.2", "mailbox full"};
    CHECK(world.deliver().outcome == ipc::DeliveryOutcome::refused);
    CHECK(world.answer.status.enhanced == "5.2.2");
    CHECK_FALSE(std::filesystem::exists(body_in(world.place.mail)));
}

TEST_CASE("a refused repetition keeps the body that an earlier attempt linked") {
    World world;
    make_account(world.place.mail);
    world.place.linker().link(facts(), kName);
    world.keeper.file_answer.outcome = ipc::DeliveryOutcome::refused;
    world.deliver();
    CHECK(std::filesystem::exists(body_in(world.place.mail)));
}

TEST_CASE("what the keeper says of a missing account decides") {
    World world;
    world.keeper.prepare_answer = {550, "5.1.1", "no such account"};
    CHECK(world.deliver().outcome == ipc::DeliveryOutcome::refused);
    world.keeper.prepare_answer = {451, "4.3.0", "paused"};
    CHECK(world.deliver().outcome == ipc::DeliveryOutcome::deferred);
    CHECK(world.answer.status.text == "paused");
    CHECK(world.keeper.filed == 0);
}

TEST_CASE("a lost spool file and a wrong name are deferred, nothing is filed") {
    World world;
    make_account(world.place.mail);
    CHECK(world.deliver("../mail/x").outcome == ipc::DeliveryOutcome::deferred);
    world.place.directory->remove(kQid);
    CHECK(world.deliver().outcome == ipc::DeliveryOutcome::deferred);
    CHECK(world.answer.status.code == 451);
    CHECK(world.keeper.filed == 0);
}

TEST_CASE("a keeper that dies while it files gets the message again from its successor") {
    World world;
    make_account(world.place.mail);
    ipc::Channel successor(world.nursery, "deliverd");
    successor.on<ipc::FileMessage>(world.keeper, &FakeKeeper::file);
    world.keeper_side.drop("killed");
    world.nursery.spawn([](World& w, ipc::Channel& next) -> task<> {
        co_await sleep_ms(w.nursery, 20);
        auto [a, b] = socket_pair(SOCK_SEQPACKET);
        w.service.keeper().attach(std::move(a));
        next.attach(std::move(b));
    }(world, successor));
    CHECK(world.deliver().outcome == ipc::DeliveryOutcome::stored);
    CHECK(world.keeper.filed == 1);
    successor.drop("end");
}

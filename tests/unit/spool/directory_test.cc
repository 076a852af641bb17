#include "common/spool/directory.h"

#include "common/base/bytes.h"
#include "tests/unit/spool/scratch.h"

#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <system_error>

using namespace tambo;
using namespace tambo::spool;
using tambo::test::Scratch;

namespace {

const Id kId{7, 0xab5e};

} // namespace

TEST_CASE("a body lies in the bucket of its random end, readable and never writable again") {
    Scratch scratch;
    Directory spool(scratch.open());
    CHECK(body_path(kId) == "5e/" + kId.text());
    NewBody body = spool.create(kId);
    write_all(body.writer.get(), "hello", "body");
    struct stat facts {};
    REQUIRE(::stat((scratch / ("bodies/" + body_path(kId))).c_str(), &facts) == 0);
    CHECK((facts.st_mode & 07777) == 0440);
    CHECK(read_whole(body.reader.get(), 100, "body") == "hello");
    CHECK_THROWS_AS(spool.create(kId), std::system_error);
    CHECK(spool.open_body(kId).has_value());
    CHECK(spool.bodies(0x5e) == std::vector<Id>{kId});
    CHECK(spool.bodies(0x5f).empty());
    CHECK(spool.remove(kId));
    CHECK_FALSE(spool.remove(kId));
    CHECK_FALSE(spool.open_body(kId).has_value());
}

TEST_CASE("opening a spool again keeps what is there") {
    Scratch scratch;
    {
        Directory spool(scratch.open());
        spool.create(kId);
    }
    Directory spool(scratch.open());
    CHECK(spool.open_body(kId).has_value());
    CHECK(spool.set_aside(kId));
    CHECK_FALSE(spool.set_aside(kId));
    CHECK_FALSE(spool.open_body(kId).has_value());
    CHECK(std::filesystem::exists(scratch / ("lost/" + kId.text())));
}

TEST_CASE("a read lease tells whether a writer is left") {
    Scratch scratch;
    Directory spool(scratch.open());
    NewBody body = spool.create(kId);
    CHECK(has_writer(body.reader.get()));
    UniqueFd copy(::dup(body.writer.get()));
    body.writer.reset();
    CHECK(has_writer(body.reader.get()));
    copy.reset();
    CHECK_FALSE(has_writer(body.reader.get()));
    CHECK_FALSE(has_writer(body.reader.get()));
}

TEST_CASE("a digest covers the whole body and moves no offset") {
    Scratch scratch;
    Directory spool(scratch.open());
    NewBody body = spool.create(kId);
    CHECK(digest_of(body.reader.get()) == Digest{0, 0});
    std::string text;
    for (int i = 0; i < 50'000; ++i)
        text += std::to_string(i);
    write_all(body.writer.get(), text, "body");
    CHECK(digest_of(body.reader.get()) == Digest{text.size(), crc32c(0, text)});
    CHECK(::lseek(body.reader.get(), 0, SEEK_CUR) == 0);
}

TEST_CASE("the space is that of the filesystem") {
    Scratch scratch;
    Directory spool(scratch.open());
    CHECK(spool.space().bytes > 0);
    CHECK(spool.space().inodes > 0);
}

// The aliases and passwd of the host, as master passes them.
#include "tests/unit/authd/service_fixture.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <string>

using namespace tambo;
using namespace tambo::authd;
using namespace tambo::authd::test;

TEST_CASE("a file that cannot be read changes nothing and ends nobody") {
    Suite s;
    const std::string path = s.dir + "/aliases";
    UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(::write(file.get(), "ops: alice@example.test\n", 24) == 24);
    s.service->take_file("aliases", file);
    CHECK(s.service->book().system_aliases("ops").size() == 1);
    s.service->take_file("aliases", UniqueFd(::open(s.dir.c_str(), O_RDONLY | O_CLOEXEC)));
    s.service->take_file("passwd", UniqueFd(::open(s.dir.c_str(), O_RDONLY | O_CLOEXEC)));
    s.service->take_file("aliases", UniqueFd());
    REQUIRE(::ftruncate(file.get(), (4 << 20) + 1) == 0); // larger than is read
    s.service->take_file("aliases", file);
    CHECK(s.service->book().system_aliases("ops").size() == 1);
}

#include "common/base/edit_distance.h"
#include "common/base/password_rule.h"

#include <catch2/catch.hpp>

using namespace tambo;

TEST_CASE("a new password has 8 characters, unless the administrator knows better") {
    CHECK_FALSE(password_problem("12345678", false));
    CHECK(password_problem("1234567", false));
    CHECK_FALSE(password_problem("1234567", true));
    CHECK(password_problem("", true));
    CHECK_FALSE(password_problem(std::string(kPasswordBytesMax, 'x'), false));
    CHECK(password_problem(std::string(kPasswordBytesMax + 1, 'x'), false));
    CHECK(password_problem("longer \xff than 8", false));
}

TEST_CASE("edits between words: insert, delete, replace, swap") {
    CHECK(edit_distance("status", "status") == 0);
    CHECK(edit_distance("stauts", "status") == 1);
    CHECK(edit_distance("ad", "add") == 1);
    CHECK(edit_distance("", "add") == 3);
    CHECK(edit_distance("kitten", "sitting") == 3);
}

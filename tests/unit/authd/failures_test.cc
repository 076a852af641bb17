#include "authd/failures.h"

#include "common/base/text.h"

#include <catch2/catch.hpp>

#include <string>

using namespace tambo;
using tambo::authd::Failures;

namespace {

const Failures::Limits kLimits{4, 600'000, 15'000};

struct World {
    Failures failures;
    int64_t now = 1'000'000'000;

    bool may(std::string_view network, std::string_view account) {
        return failures.may_try(network, account, now, kLimits);
    }
    int64_t fail(std::string_view network, std::string_view account) {
        return failures.failed(network, account, now, kLimits);
    }
    void succeed(std::string_view network, std::string_view account) {
        failures.succeeded(network, account, now);
    }
    // How many guesses are heard of as many as one likes to make.
    int guess(std::string_view network, std::string_view account) {
        int heard = 0;
        for (; heard < 1000 && may(network, account); ++heard) fail(network, account);
        return heard;
    }
};

} // namespace

TEST_CASE("failures of a network slow it down, then nothing of it is heard for a while") {
    World w;
    CHECK(w.fail("net", "a@x") == 1000);
    CHECK(w.fail("net", "b@x") == 2000);
    CHECK(w.fail("net", "") == 4000); // no address at all
    CHECK(w.may("net", "c@x"));
    CHECK(w.fail("net", "c@x") == 8000);
    CHECK_FALSE(w.may("net", "d@x"));
    CHECK(w.may("elsewhere", "a@x"));
    w.now += 600'001;
    CHECK(w.may("net", "d@x"));
    CHECK(w.fail("net", "d@x") == 1000);
}

TEST_CASE("a success forgets what this network and account have added, and nothing else") {
    World w;
    w.fail("net", "own@x");
    w.fail("net", "own@x");
    w.fail("net", "victim@x");
    w.fail("elsewhere", "own@x");
    w.succeed("net", "own@x");
    CHECK(w.fail("net", "victim@x") == 2000); // the second
    CHECK(w.fail("elsewhere", "own@x") == 2000);
    for (int i = 0; i < 100; ++i) w.succeed("net", "own@x");
    CHECK(w.guess("net", "victim@x") == 2); // four in all
}

TEST_CASE("an account under attack is reachable from where its user was, and slow for strangers") {
    World w;
    w.succeed("home", "victim@x");
    for (int i = 0; i < 5; ++i) w.guess(cat("bot", i), "victim@x"); // 20 failures
    CHECK(w.may("home", "victim@x"));
    CHECK(w.fail("home", "victim@x") == 1000); // a slip there costs no more than ever
    w.succeed("home", "victim@x");
    // A stranger is still heard, three times; its answers come late.
    CHECK(w.may("hotel", "victim@x"));
    CHECK(w.fail("hotel", "victim@x") == 15'000);
    CHECK(w.guess("hotel", "victim@x") == 2);
    CHECK(w.may("hotel", "other@x")); // that is for this account alone
    w.now += 600'001;
    CHECK(w.guess("hotel", "victim@x") == 4);
}

TEST_CASE("a known network is heard though others there fail, but not for ever") {
    World w;
    w.succeed("office", "a@x");
    w.guess("office", "b@x");
    CHECK_FALSE(w.may("office", "c@x"));
    CHECK(w.may("office", "a@x"));
    CHECK(w.guess("office", "a@x") == 4); // who guesses from within has no more than others
    w.now += 31 * int64_t{86'400'000};
    w.guess("office", "b@x");
    CHECK_FALSE(w.may("office", "a@x")); // it has not been seen for a month
}

TEST_CASE("what no longer matters is forgotten, and an account keeps few networks") {
    World w;
    for (int i = 0; i < 100; ++i) {
        w.now += 1;
        w.fail(cat("net", i), cat("nobody", i, "@x"));
        w.succeed(cat("net", i), "traveller@x");
    }
    w.now += 600'001;
    w.failures.tidy(w.now, kLimits);
    CHECK(w.failures.size() == 1); // the traveller
    for (int i = 0; i < 4; ++i) {
        w.guess("net0", "x@x");
        w.guess("net99", "x@x");
    }
    CHECK_FALSE(w.may("net0", "traveller@x")); // the oldest has gone
    CHECK(w.may("net99", "traveller@x"));
    w.now += 31 * int64_t{86'400'000};
    w.failures.tidy(w.now, kLimits);
    CHECK(w.failures.size() == 0);
}

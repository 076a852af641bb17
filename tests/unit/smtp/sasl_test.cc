#include "common/smtp/sasl.h"

#include "common/base/limits.h"

#include <catch2/catch.hpp>

using namespace tambo;
using namespace tambo::smtp;
using namespace std::literals;

using State = SaslExchange::State;

TEST_CASE("PLAIN") {
    const auto c = parse_plain("\0tim\0tanstaaftanstaaf"sv); // RFC 4616 4
    REQUIRE(c);
    CHECK(c->authorization.empty());
    CHECK(c->authentication == "tim");
    CHECK(c->password == "tanstaaftanstaaf");
    CHECK(parse_plain("Ursel\0Kurt\0xipj3plmq"sv)->authorization == "Ursel");
    CHECK(parse_plain("\0\xC3\xBC\0p w"sv)->authentication == "\xC3\xBC");
    for (const auto bad : {""sv, "a"sv, "\0a"sv, "\0\0p"sv, "\0a\0"sv, "\0a\0p\0"sv, "\0\xFF\0p"sv,
                           "\0a\0\xFF"sv, "\0a\nb\0p"sv, "x\x1b\0a\0p"sv}) {
        CHECK_FALSE(parse_plain(bad));
    }
    const std::string name(limits::sasl_name_bytes, 'n');
    const std::string password(limits::sasl_password_bytes, 'p');
    CHECK(parse_plain("\0"s + name + "\0"s + password));
    CHECK_FALSE(parse_plain("\0n"s + name + "\0"s + password));
    CHECK_FALSE(parse_plain("\0"s + name + "\0p"s + password));
    CHECK_FALSE(parse_plain("\0"s + std::string(10'000, 'x') + "\0p"s)); // RULES.md I4
}

TEST_CASE("PLAIN as an exchange, with and without initial response") {
    SaslExchange one(Mechanism::plain);
    CHECK(one.start("\0a\0b"sv) == State::complete);
    CHECK(one.credentials().password == "b");
    SaslExchange two(Mechanism::plain);
    CHECK(two.start(std::nullopt) == State::challenge);
    CHECK(two.challenge().empty());
    CHECK(two.answer("\0a\0b"sv) == State::complete);
    SaslExchange bad(Mechanism::plain);
    CHECK(bad.start("") == State::malformed);
}

TEST_CASE("LOGIN") {
    SaslExchange x(Mechanism::login);
    CHECK(x.start(std::nullopt) == State::challenge);
    CHECK(x.challenge() == "Username:");
    CHECK(x.answer("alice@example.test") == State::challenge);
    CHECK(x.challenge() == "Password:");
    CHECK(x.answer("secret") == State::complete);
    CHECK(x.credentials().authentication == "alice@example.test");
    CHECK(x.credentials().password == "secret");
    SaslExchange initial(Mechanism::login);
    CHECK(initial.start("alice") == State::challenge);
    CHECK(initial.challenge() == "Password:");
    SaslExchange empty(Mechanism::login);
    CHECK(empty.start("") == State::malformed);
    SaslExchange nul(Mechanism::login);
    CHECK(nul.start("a\0b"sv) == State::malformed);
}

TEST_CASE("mechanisms are found in any case") {
    CHECK(find_mechanism("plain") == Mechanism::plain);
    CHECK(find_mechanism("Login") == Mechanism::login);
    CHECK_FALSE(find_mechanism("SCRAM-SHA-256"));
}

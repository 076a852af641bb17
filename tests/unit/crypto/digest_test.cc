#include "common/crypto/digest.h"

#include "common/base/text.h"

#include <catch2/catch.hpp>

using namespace tambo;

TEST_CASE("digests of known texts") {
    CHECK(to_hex(digest(DigestKind::sha1, "abc")) == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(to_hex(sha256("abc")) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(to_hex(sha256("")) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(to_hex(digest(DigestKind::sha512, "abc")) ==
          "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
          "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST_CASE("a digest over pieces equals the one over the whole, and starts anew") {
    const std::string text = "The runner hands the message to the next.";
    Digest pieces(DigestKind::sha256);
    for (size_t split = 0; split <= text.size(); ++split) {
        pieces.update(std::string_view(text).substr(0, split));
        pieces.update(std::string_view(text).substr(split));
        CHECK(pieces.finish() == sha256(text));
    }
}

TEST_CASE("HMAC: RFC 4231 and RFC 2202 test cases") {
    CHECK(to_hex(hmac(DigestKind::sha256, std::string(20, '\x0b'), "Hi There")) ==
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    CHECK(to_hex(hmac(DigestKind::sha256, "Jefe", "what do ya want for nothing?")) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(to_hex(hmac(DigestKind::sha256, std::string(131, '\xaa'),
                      "Test Using Larger Than Block-Size Key - Hash Key First")) ==
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    CHECK(to_hex(hmac(DigestKind::sha1, "Jefe", "what do ya want for nothing?")) ==
          "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
    CHECK(to_hex(hmac(DigestKind::sha512, std::string(20, '\x0b'), "Hi There")).substr(0, 32) ==
          "87aa7cdea5ef619d4ff0b4241a1d6cb0");
}

TEST_CASE("HMAC with an empty key does not use the key of an earlier call") {
    const auto before = hmac(DigestKind::sha256, std::string_view(), "x");
    static_cast<void>(hmac(DigestKind::sha256, "another key", "x"));
    CHECK(hmac(DigestKind::sha256, std::string_view(), "x") == before);
    CHECK(hmac(DigestKind::sha256, "", "x") == before);
}

TEST_CASE("comparison of secrets") {
    CHECK(equal_constant_time("", ""));
    CHECK(equal_constant_time("secret", "secret"));
    CHECK_FALSE(equal_constant_time("secret", "secreT"));
    CHECK_FALSE(equal_constant_time("secret", "secre"));
    CHECK_FALSE(equal_constant_time(std::string_view("a\0b", 3), std::string_view("a\0c", 3)));
}

TEST_CASE("wipe overwrites before it empties") {
    std::string secret(64, 'x');
    const char* data = secret.data();
    wipe(secret);
    CHECK(secret.empty());
    REQUIRE(secret.data() == data); // the same memory, still within its capacity
    for (size_t i = 0; i < 64; ++i)
        CHECK(data[i] == '\0');
}

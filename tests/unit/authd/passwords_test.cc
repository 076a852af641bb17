// The verifier that an unknown account is checked against: it is none that could be told from a
// real one by how it is computed.
#include "authd/passwords.h"

#include <argon2.h>
#include <catch2/catch.hpp>

using namespace tambo::authd;

TEST_CASE("the verifier of nobody is well formed and no password has it", "[authd]") {
    const std::string& nobody = dummy_verifier();
    const std::string real = hash_password("secret");
    CHECK(nobody.size() == real.size());
    // Type, version and costs are the same.
    const auto parameters = [](const std::string& text) {
        return text.substr(0, text.rfind('$', text.rfind('$') - 1));
    };
    CHECK(parameters(nobody) == parameters(real));
    // It was computed and compared, not refused for its form.
    CHECK(argon2id_verify(nobody.c_str(), "secret", 6) == ARGON2_VERIFY_MISMATCH);
    CHECK_FALSE(verify_password(nobody, ""));
    CHECK(verify_password(real, "secret"));
    CHECK(&dummy_verifier() == &nobody);
}

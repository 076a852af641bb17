#include <CLI/CLI.hpp> // before check() is a macro

#include "cli/usage.h"

#include <catch2/catch.hpp>

#include <vector>

using namespace tambo::cli;

namespace {

// What somebody reads who has typed these words behind "tambo".
std::string explained(std::vector<std::string> words) {
    CLI::App app{"", "tambo"};
    std::string file, address;
    app.add_option("--config", file);
    app.require_subcommand(1);
    app.add_subcommand("status");
    CLI::App* user = app.add_subcommand("user")->require_subcommand(1);
    user->add_subcommand("add")->add_option("ADDRESS", address)->required();
    user->add_subcommand("rm");
    std::vector<char*> raw{const_cast<char*>("tambo")};
    for (auto& word : words)
        raw.push_back(word.data());
    try {
        app.parse(static_cast<int>(raw.size()), raw.data());
    } catch (const CLI::ParseError& error) {
        return explain_usage(app, std::span<char* const>(raw).subspan(1), error);
    }
    return "";
}

} // namespace

TEST_CASE("a mistyped command is named, with the one that was meant") {
    CHECK(explained({"stauts"}) == R"(no command "stauts"; did you mean "status"?)");
    CHECK(explained({"User", "add"}) == R"(no command "User"; did you mean "user"?)");
    CHECK(explained({"--config", "status", "usr"}) == R"(no command "usr"; did you mean "user"?)");
    CHECK(explained({"user", "ad", "x"}) ==
          R"(no command "ad" of tambo user; did you mean "add"?)");
    CHECK(explained({"user", "xy"}) == R"(no command "xy" of tambo user; there are add, rm)");
    CHECK(explained({"frob\x1b"}) == R"(no command "frob\x1b"; there are status, user)");
    CHECK(explained({std::string(100'000, 'x')}).ends_with("there are status, user"));
}

TEST_CASE("where a command is missing, they are listed; where an operand is, it is named") {
    CHECK(explained({}) == "tambo takes one of these: status, user; tambo --help");
    CHECK(explained({"user"}) == "tambo user takes one of these: add, rm; tambo user --help");
    CHECK(explained({"user", "add"}) ==
          "tambo user add: ADDRESS is required; tambo user add --help");
}

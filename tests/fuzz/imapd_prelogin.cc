// IMAP before the login, through the daemon's own server.
#include "imapd/prelogin.h"
#include "tests/fuzz/login_world.h"

#include "common/base/check.h"

#include <cstdint>

using namespace tambo;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static auto* const world = new fuzz::LoginWorld(imapd::kProtocol);
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const bool unwelcome = input.starts_with(fuzz::LoginWorld::kUnwelcome);
    const std::string said = world->talk(input);
    if (unwelcome) check(said == "* BYE too many connections\r\n", "only that is said");
    if (unwelcome) return 0;
    check(said.starts_with("* OK [CAPABILITY IMAP4rev1 "), "the greeting comes first");
    check(said.ends_with("\r\n"), "whole lines are said");
    check(said.find(" OK [CAPABILITY", 3) == std::string::npos, "nobody logs in without TLS");
    return 0;
}

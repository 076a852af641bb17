// Submission under TLS, where clients log in: what a stranger can say to AUTH, and what a user can
// who has a right password. The first byte says whether somebody has logged in already and how the
// bytes are cut.
#include "tests/fuzz/smtp_client.h"

using namespace tambo;
using namespace tambo::smtpd;
using namespace tambo::smtpd::test;

namespace {

// alice@local.test, "secret"
constexpr std::string_view kLogin = "EHLO a\r\nAUTH PLAIN AGFsaWNlQGxvY2FsLnRlc3QAc2VjcmV0\r\n";

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    static World* const world = new World(Role::submission);
    world->fake_queued.stored.clear();
    std::string input(data[0] & 1 ? kLogin : "");
    input.append(reinterpret_cast<const char*>(data) + 1, size - 1);
    const size_t step = data[0] & 2 ? data[0] / 8u + 1 : 4096;
    std::string said;
    UniqueFd socket = world->connect(Door::submissions, "192.0.2.7");
    world->run(talk(*world, std::move(socket), Door::submissions, input, step, said));
    check_replies(said);
    for (const Stored& message : world->fake_queued.stored) {
        check(message.envelope.token == "token-of-alice", "nothing is taken without a login");
        check_body(message);
    }
    return 0;
}

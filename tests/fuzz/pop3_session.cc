// Whole POP3 sessions on a real store: the input is what the client sends, a byte 0xfe cuts it.
#include "common/event/loop.h"
#include "common/event/nursery.h"
#include "common/sys/fdpass.h"
#include "pop3d/session/session.h"
#include "tests/fuzz/store.h"

#include <sys/socket.h>

#include <cstdint>

using namespace tambo;

namespace {

void turn(Loop& loop) {
    loop.post([&loop] { loop.stop(); });
    loop.run();
}

void drain(int fd, std::string& said) {
    char buffer[65536];
    for (ssize_t n; (n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
        said.append(buffer, static_cast<size_t>(n));
}

void run(store::Account& account, std::string_view input) {
    Loop loop;
    Nursery nursery(loop);
    auto [client, theirs] = socket_pair(SOCK_STREAM);
    nursery.spawn(pop3::serve_pop3(nursery, std::move(theirs), account, {}));
    std::string said;
    while (!input.empty()) {
        const size_t end = std::min(input.find('\xfe'), input.size());
        static_cast<void>(::send(client.get(), input.data(), end, MSG_NOSIGNAL | MSG_DONTWAIT));
        for (int i = 0; i < 4; ++i)
            turn(loop);
        drain(client.get(), said);
        input.remove_prefix(std::min(end + 1, input.size()));
    }
    client.reset();
    for (int i = 0; i < 4; ++i)
        turn(loop);
    nursery.cancel();
    if (!said.empty() && !said.starts_with("+OK") && !said.starts_with("-ERR")) std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    static std::unique_ptr<fuzz::Store> store;
    static int runs = 0;
    // What QUIT removes is gone: a new one more often than for IMAP.
    if (!store || ++runs % 50 == 0) {
        store.reset();
        store = std::make_unique<fuzz::Store>();
    }
    if (store->account->failure()) std::abort();
    run(*store->account, {reinterpret_cast<const char*>(bytes), size});
    return 0;
}

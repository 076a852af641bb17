// Whole sessions on a real store: the input is what two clients of one account send, in pieces. The
// store is made anew when its messages are gone and after some thousand inputs, so that it does not
// grow for ever.
#include "common/event/loop.h"
#include "common/event/nursery.h"
#include "common/sys/fdpass.h"
#include "common/sys/file.h"
#include "imapd/session/facts.h"
#include "imapd/session/session.h"

#include "tests/fuzz/store.h"

#include <sys/socket.h>

#include <cstdint>

using namespace tambo;

namespace {

void turn(Loop& loop) {
    loop.post([&loop] { loop.stop(); });
    loop.run();
}

void drain(int fd) {
    char buffer[65536];
    while (::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0) {
    }
}

void run(store::Account& account, std::string_view input) {
    Loop loop;
    Nursery nursery(loop);
    UniqueFd clients[2];
    for (auto& client : clients) {
        auto [ours, theirs] = socket_pair(SOCK_STREAM);
        imap::SessionSettings settings;
        settings.message_bytes_max = 1u << 20;
        nursery.spawn(imap::serve_imap(nursery, std::move(theirs), account, settings));
        client = std::move(ours);
    }
    const std::string_view open = "o SELECT INBOX\r\n";
    for (auto& client : clients) {
        static_cast<void>(::send(client.get(), open.data(), open.size(), MSG_NOSIGNAL));
    }
    // A byte 0xff takes the other client, 0xfe cuts.
    size_t turn_of = 0;
    while (!input.empty()) {
        const size_t end = std::min(input.find_first_of("\xff\xfe"), input.size());
        static_cast<void>(
            ::send(clients[turn_of].get(), input.data(), end, MSG_NOSIGNAL | MSG_DONTWAIT));
        for (int i = 0; i < 4; ++i)
            turn(loop);
        for (auto& client : clients)
            drain(client.get());
        if (end < input.size() && input[end] == '\xff') turn_of ^= 1;
        input.remove_prefix(std::min(end + 1, input.size()));
    }
    for (auto& client : clients)
        client.reset();
    for (int i = 0; i < 4; ++i)
        turn(loop);
    nursery.cancel();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    static std::unique_ptr<fuzz::Store> store;
    static int runs = 0;
    if (!store || store->is_used_up() || ++runs % 2000 == 0) {
        store.reset();
        store = std::make_unique<fuzz::Store>(imap::kFactsParser);
    }
    if (store->account->failure()) std::abort();
    run(*store->account, {reinterpret_cast<const char*>(bytes), size});
    return 0;
}

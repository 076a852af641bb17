// Whole POP3 sessions on a real store: the input is what a client sends, and a second one of the
// same account. A byte 0xff takes the other client, 0xfe cuts.
#include "common/event/loop.h"
#include "common/event/nursery.h"
#include "common/sys/fdpass.h"
#include "pop3d/session/session.h"
#include "tests/fuzz/store.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

class Client {
  public:
    Client(Nursery& nursery, store::Account& account) {
        auto [ours, theirs] = socket_pair(SOCK_STREAM);
        nursery.spawn(pop3::serve_pop3(nursery, std::move(theirs), account, {}));
        socket_ = std::move(ours);
    }
    void send(std::string_view bytes) {
        static_cast<void>(
            ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    }
    void receive() { drain(socket_.get(), said); }

    std::string said;

  private:
    UniqueFd socket_;
};

void run(store::Account& account, std::string_view input) {
    Loop loop;
    Nursery nursery(loop);
    std::optional<Client> clients[2];
    size_t turn_of = 0;
    while (!input.empty()) {
        auto& client = clients[turn_of];
        if (!client) client.emplace(nursery, account);
        const size_t end = std::min(input.find_first_of("\xff\xfe"), input.size());
        client->send(input.substr(0, end));
        for (int i = 0; i < 4; ++i)
            turn(loop);
        client->receive();
        if (!client->said.empty() && !client->said.starts_with("+OK") &&
            !client->said.starts_with("-ERR"))
            std::abort();
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
        store = std::make_unique<fuzz::Store>();
    }
    if (store->account->failure()) std::abort();
    run(*store->account, {reinterpret_cast<const char*>(bytes), size});
    return 0;
}

// Whole POP3 sessions on a real store: the input is what a client sends, and a second one of the
// same account. A byte 0xff takes the other client, 0xfe cuts, and behind 0xfd the disk takes
// nothing any more. The first client is still there when everything ends.
#include "common/event/loop.h"
#include "common/event/nursery.h"
#include "common/sys/fdpass.h"
#include "pop3d/session/session.h"
#include "tests/fuzz/store.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>
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

// Files can no longer grow, from fail() to the end of this object's life.
class Disk {
  public:
    Disk() { ::getrlimit(RLIMIT_FSIZE, &before_); }
    ~Disk() { heal(); }
    void heal() { ::setrlimit(RLIMIT_FSIZE, &before_); }
    void fail() {
        failed_ = true;
        std::signal(SIGXFSZ, SIG_IGN);
        const rlimit none{0, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &none);
    }
    bool failed() const { return failed_; }
    // A finding: the fuzzer writes the input to a file. (Where a sanitizer ends the process it
    // cannot, and the input is in what it prints.)
    [[noreturn]] void found() {
        heal();
        std::abort();
    }

  private:
    rlimit before_{};
    bool failed_ = false;
};

// False: the account is of no more use.
bool run(store::Account& account, std::string_view input) {
    Disk disk;
    Loop loop;
    Nursery nursery(loop);
    std::optional<Client> clients[2];
    size_t turn_of = 0;
    while (!input.empty()) {
        auto& client = clients[turn_of];
        if (!client) client.emplace(nursery, account);
        const size_t end = std::min(input.find_first_of("\xff\xfe\xfd"), input.size());
        client->send(input.substr(0, end));
        for (int i = 0; i < 4; ++i)
            turn(loop);
        client->receive();
        if (!client->said.empty() && !client->said.starts_with("+OK") &&
            !client->said.starts_with("-ERR"))
            disk.found();
        if (end < input.size() && input[end] == '\xff') turn_of ^= 1;
        if (end < input.size() && input[end] == '\xfd') disk.fail();
        input.remove_prefix(std::min(end + 1, input.size()));
    }
    clients[1].reset();
    for (int i = 0; i < 4; ++i)
        turn(loop);
    nursery.cancel();
    if (account.failure() && !disk.failed()) disk.found();
    return !account.failure();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    static std::unique_ptr<fuzz::Store> store;
    static int runs = 0;
    if (!store || store->is_used_up() || ++runs % 2000 == 0) {
        store.reset();
        store = std::make_unique<fuzz::Store>();
    }
    if (!run(*store->account, {reinterpret_cast<const char*>(bytes), size})) store.reset();
    return 0;
}

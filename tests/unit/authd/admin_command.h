// Who asks control/authd.sock as tambo(8) does, and the server that answers.
#pragma once

#include "authd/admin.h"

#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/un.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace tambo::authd::test {

class AdminCommand {
  public:
    // The socket is made in dir. All outlive this.
    AdminCommand(Nursery& nursery, Service& service, const std::string& dir)
        : nursery_(nursery), server_(std::in_place, nursery, listen(dir)),
          admin_(service, *server_), channel_(nursery, "authd") {
        UniqueFd client(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        const sockaddr_un a = address(dir);
        REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
        channel_.attach(std::move(client));
    }

    // Runs the loop until the answer is there.
    ipc::AdminAnswer
    ask(const std::string& verb, std::vector<std::string> words = {}, std::string secret = "") {
        ipc::AdminAnswer answer;
        nursery_.spawn(
            call(*this, ipc::AdminRequest{verb, std::move(words), std::move(secret), {}}, answer));
        nursery_.loop().run();
        return answer;
    }
    // Before and after the nursery has emptied.
    void hang_up() { channel_.drop("end"); }
    void close() { server_.reset(); }

  private:
    static sockaddr_un address(const std::string& dir) {
        sockaddr_un a{};
        a.sun_family = AF_UNIX;
        (dir + "/authd.sock").copy(a.sun_path, sizeof a.sun_path - 1);
        return a;
    }
    static UniqueFd listen(const std::string& dir) {
        UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
        const sockaddr_un a = address(dir);
        REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
        REQUIRE(::listen(fd.get(), 5) == 0);
        return fd;
    }
    static task<> call(AdminCommand& self, ipc::AdminRequest request, ipc::AdminAnswer& answer) {
        answer = co_await self.channel_.call(std::move(request));
        self.nursery_.loop().stop();
    }

    Nursery& nursery_;
    std::optional<ipc::AdminServer> server_;
    Admin admin_;
    ipc::Channel channel_;
};

} // namespace tambo::authd::test

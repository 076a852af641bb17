// The parts of authd put together: what main() starts and master talks to.
#pragma once

#include "authd/admin.h"
#include "authd/peer.h"
#include "authd/service.h"
#include "common/ipc/admin.h"
#include "common/ipc/control.h"
#include "common/sys/clock.h"

#include <exception>
#include <functional>
#include <optional>
#include <string>

namespace tambo::authd {

class Server {
  public:
    // Opens accounts.db in the current directory. Throws db::DbError. loop and nursery outlive the
    // server; the nursery must have emptied before the server goes.
    Server(Loop& loop, Nursery& nursery, const conf::AuthdConfig& config);

    // Takes files and peers from master and follows its orders.
    void connect(ipc::Control& control, ipc::Boot& boot);
    // A request met an error that nobody expected. Of the database: nothing that is known can be
    // relied on, the process is to end.
    std::function<void(const std::string& what)> on_failed;

  private:
    void unexpected(const std::exception& error);

    Nursery& nursery_;
    SystemClock clock_;
    Directory directory_;
    Workers workers_;
    Service service_;
    Peer keeper_;
    std::optional<ipc::AdminServer> admin_server_;
    std::optional<Admin> admin_;
};

} // namespace tambo::authd

// What the command line may ask master on control/master.sock:
//
//   status     a row for each process
//   listeners  a row for each listening socket
//   reload     takes the configuration anew; 78 and the errors if it has any
//   restart    ordered shutdown, then the programs that are installed now, in the same process and
//              without closing a port; 78 and the reason if they could not start
//   stop       ordered shutdown
#pragma once

#include "common/ipc/admin.h"
#include "master/suite.h"

namespace tambo::master {

class Admin {
  public:
    // Registers the verbs; suite outlives this.
    Admin(ipc::AdminServer& server, Suite& suite);

  private:
    using Method = ipc::AdminAnswer (Admin::*)() const;
    task<ipc::AdminAnswer> answer(Method method) const;
    ipc::AdminAnswer status() const;
    ipc::AdminAnswer listeners() const;
    ipc::AdminAnswer reload() const;
    task<ipc::AdminAnswer> restart() const;
    ipc::AdminAnswer stop() const;

    Suite& suite_;
};

} // namespace tambo::master

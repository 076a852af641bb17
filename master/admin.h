// What the command line may ask master on control/master.sock:
//
//   status     a row for each process
//   listeners  a row for each listening socket
//   reload     takes the configuration anew; 78 and the errors if it has any
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
    ipc::AdminAnswer stop() const;

    Suite& suite_;
};

} // namespace tambo::master

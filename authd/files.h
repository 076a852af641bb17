// The files that master hands in: aliases, passwd, and what lies in drop/.
#pragma once

#include "authd/service.h"
#include "common/ipc/control.h"

namespace tambo::authd {

// Takes those that came with the boot, and from now on each that control brings. service and
// control outlive each other's use.
void take_files(Service& service, ipc::Control& control, ipc::Boot& boot);

} // namespace tambo::authd

// Messages that sendmail(1) left in drop/ while nobody listened (ARCHITECTURE.md, "On the disk"):
// each file is the client's side of an SMTP dialogue, and is played to a session of the local
// socket whose user is the owner of the file. Only in the submission instance.
#pragma once

#include "common/base/unique_fd.h"
#include "common/event/task.h"

#include <string>
#include <string_view>

namespace tambo::ipc {
class Control;
}

namespace tambo::smtpd {

class Server;

inline constexpr std::string_view kDropPrefix = "drop:";

// Plays the script that master passed as file `name` ("drop:..."), and tells master what became of
// it.
task<> submit_drop(Server& server, ipc::Control& control, std::string name, UniqueFd script);

// Plays the script in lockstep, as sendmail(1) would have: a refused command can never turn the
// message's text into commands. True when the queue has the message for at least one recipient.
task<bool> play_drop(Server& server, UniqueFd script);

} // namespace tambo::smtpd

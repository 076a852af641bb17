// Messages that sendmail(1) left in drop/ while nobody listened (ARCHITECTURE.md, "On the disk"):
// each file is the client's side of an SMTP dialogue, and is played to a session of the local
// socket whose user is the owner of the file. Only in the submission instance; whose file it is,
// authd says.
#pragma once

#include "common/event/task.h"
#include "common/ipc/messages/authd.h"
#include "common/ipc/messages/control.h"

#include <functional>
#include <string>

namespace tambo::smtpd {

class Server;

class Drops {
  public:
    // report: tells master what became of a message. server outlives this.
    using Report = std::function<void(const std::string& name, ipc::DropOutcome outcome)>;
    Drops(Server& server, Report report) : server_(server), report_(std::move(report)) {}

    // Plays the script that authd has passed. When authd dies master offers the message again that
    // it has in hand, which may be here already: it is taken once.
    void take(ipc::LocalArrival message);

  private:
    task<> submit(ipc::LocalArrival message);

    Server& server_;
    Report report_;
    std::string playing_, last_; // names
    ipc::DropOutcome last_outcome_ = ipc::DropOutcome::not_now;
};

// Plays the script in lockstep, as sendmail(1) would have: a refused command can never turn the
// message's text into commands. What is refused for good is returned to the owner of the file, or
// to the postmaster where that one has no mail, like any message that cannot be delivered.
task<ipc::DropOutcome> play_drop(Server& server, ipc::LocalArrival message);

} // namespace tambo::smtpd

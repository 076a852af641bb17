// The users that daemons become. Started by root each daemon has its own; otherwise all of them
// stay who master is.
#pragma once

#include "common/base/result.h"
#include "common/sys/sandbox.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace tambo::master {

class Users {
  public:
    // privileged: look up every user of the wiring table and the group tambo-admin. The error names
    // all that are missing.
    static Result<Users> look_up(bool privileged);

    bool privileged() const { return privileged_; }
    sandbox::Identity identity(std::string_view user) const;
    // For chown: the ids of user and group; "root" and an unprivileged suite give -1, -1 (as is).
    uid_t uid(std::string_view user) const;
    gid_t gid(std::string_view group) const;

  private:
    bool privileged_ = false;
    std::map<std::string, std::pair<uid_t, gid_t>, std::less<>> users_;
    std::map<std::string, gid_t, std::less<>> groups_;
};

} // namespace tambo::master

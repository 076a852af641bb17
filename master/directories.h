// The directory tree of a suite: made at start, with owners and modes, and locked for one master.
#pragma once

#include "common/base/unique_fd.h"
#include "master/users.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::master {

class Directories {
  public:
    // Opens the top directory, which is made if it is missing. Throws std::system_error naming it.
    explicit Directories(const std::string& path);

    // Takes the one lock of the directory; the pid of the holder if it is taken. Held until this
    // object goes. inherited: a descriptor that may hold this very lock already
    // (master/handover.h). To be called before make().
    std::optional<std::string> lock(UniqueFd inherited = {});
    // The lock was inherited: we are the next program of the process that had this directory.
    bool is_successor() const { return is_successor_; }
    int lock_descriptor() const { return lock_.get(); }
    // Makes what is missing below and sets owner and mode of all. Symbolic links are not followed.
    // Throws std::system_error naming the directory.
    void make(const Users& users);

    const std::string& path() const { return path_; }
    int top() const { return top_.get(); }
    // After make(): "spool", "spool/bodies", "mail", "accounts", "keys", "log", "drop",
    // "drop-refused", "control", "root" (the empty one).
    int get(std::string_view name) const;

  private:
    std::string path_;
    UniqueFd top_, lock_;
    bool is_successor_ = false;
    std::map<std::string, UniqueFd, std::less<>> made_;
};

} // namespace tambo::master

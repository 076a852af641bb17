// The programs of the suite, opened once at start: a daemon that dies is started again from the
// very file that ran before, whatever an upgrade has put in its place meanwhile.
#pragma once

#include "common/base/unique_fd.h"

#include <map>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace tambo::master {

class Executables {
  public:
    // Opens every program of the wiring table in directory. Throws std::system_error naming the one
    // that is missing.
    explicit Executables(const std::string& directory);

    // Starts the program with control as its descriptor 3, /dev/null as input, our output and error
    // streams, and no other descriptor. argv[0] is the program, argv[1] the instance, for ps(1).
    // Throws std::system_error if no process can be made.
    pid_t start(std::string_view program, const std::string& instance, int control) const;

  private:
    std::map<std::string, UniqueFd, std::less<>> programs_;
    UniqueFd null_;
};

// The directory of this program's own file.
std::string own_directory();

} // namespace tambo::master

// For tests of what a process does that can open no descriptor.
#pragma once

#include "common/base/unique_fd.h"

#include <fcntl.h>
#include <sys/resource.h>

namespace tambo::test {

// As long as it lives no descriptor can be opened: not by UBSan either, which wants one where it
// meets a class for the first time. So what is used meanwhile was used before, and is checked
// later.
class NoDescriptors {
  public:
    NoDescriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const UniqueFd lowest(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        const rlimit none{static_cast<rlim_t>(lowest.get()), before_.rlim_max};
        in_force_ = ::setrlimit(RLIMIT_NOFILE, &none) == 0;
    }
    ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    NoDescriptors(const NoDescriptors&) = delete;

    bool in_force() const { return in_force_; }

  private:
    rlimit before_{};
    bool in_force_ = false;
};

} // namespace tambo::test

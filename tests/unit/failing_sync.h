// fsync(2) and fdatasync(2) of the whole test program, which fail when a test says so. SQLite's
// calls come here, too. For one file of a program: it defines both functions.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace tambo {

inline int sync_fails = 0; // with this error
inline int syncs = 0;

inline int sync_unless_failing(int fd, long number) {
    ++syncs;
    if (!sync_fails) return static_cast<int>(::syscall(number, fd));
    errno = sync_fails;
    return -1;
}

} // namespace tambo

extern "C" int fsync(int fd) {
    return tambo::sync_unless_failing(fd, SYS_fsync);
}
extern "C" int fdatasync(int fd) {
    return tambo::sync_unless_failing(fd, SYS_fdatasync);
}

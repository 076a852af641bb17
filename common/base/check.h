// check(): the one macro of the house. A false condition is a bug: the process aborts, master
// restarts it. It is never used for what a peer or a disk can cause.
#pragma once

namespace tambo {

// Writes "check failed: ..." to standard error and aborts. Never returns.
[[noreturn]] void check_failed(const char* condition, const char* why, const char* file, int line);

} // namespace tambo

#define check(condition, why)                                                                      \
    ((condition) ? static_cast<void>(0)                                                            \
                 : ::tambo::check_failed(#condition, why, __FILE__, __LINE__))

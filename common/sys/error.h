// A failed system call as std::system_error, naming what it was about.
#pragma once

#include <string>

namespace tambo {

// Throws std::system_error with errno and what ("open /etc/tambo/tambo.toml"). Never returns.
[[noreturn]] void throw_errno(const std::string& what);
// The same for an error number kept earlier.
[[noreturn]] void throw_error(int error, const std::string& what);
// "No such file or directory" for an error number, without locale.
std::string error_text(int error);
// Whether the disk or its filesystem is to blame, and not a limit, a mode or a missing file: after
// that nothing that was written is certain (RULES.md R2). A full disk is neither.
bool is_storage_error(int error);

} // namespace tambo

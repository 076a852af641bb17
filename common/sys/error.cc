#include "common/sys/error.h"

#include <cerrno>
#include <system_error>

namespace tambo {

void throw_errno(const std::string& what) { throw_error(errno, what); }

void throw_error(int error, const std::string& what) {
    throw std::system_error(error, std::generic_category(), what);
}

std::string error_text(int error) { return std::generic_category().message(error); }

} // namespace tambo

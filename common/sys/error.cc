#include "common/sys/error.h"

#include <cerrno>
#include <system_error>

namespace tambo {

void throw_errno(const std::string& what) {
    throw_error(errno, what);
}

void throw_error(int error, const std::string& what) {
    throw std::system_error(error, std::generic_category(), what);
}

bool is_storage_error(int error) {
    switch (error) {
    case EIO:
    case EROFS: // what a filesystem becomes that has found itself damaged
    case EUCLEAN:
    case EBADMSG:
    case ENODEV:
    case ENXIO:
    case ESTALE:
    case ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

std::string error_text(int error) {
    return std::generic_category().message(error);
}

} // namespace tambo

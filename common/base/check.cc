#include "common/base/check.h"

#include <cstdio>
#include <cstdlib>

namespace tambo {

void check_failed(const char* condition, const char* why, const char* file, int line) {
    std::fprintf(stderr, "check failed: %s (%s) at %s:%d\n", why, condition, file, line);
    std::abort();
}

} // namespace tambo

#include "common/sys/wait_status.h"

#include "common/base/text.h"

#include <sys/wait.h>

namespace tambo {

std::string wait_status_text(int status) {
    if (WIFSIGNALED(status)) return cat("signal ", WTERMSIG(status));
    return cat("status ", WEXITSTATUS(status));
}

} // namespace tambo

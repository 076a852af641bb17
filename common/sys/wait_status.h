// What waitpid() says of a process that has ended, as it stands in events.
#pragma once

#include <string>

namespace tambo {

// "signal 6" or "status 1", for the field how.
std::string wait_status_text(int status);

} // namespace tambo

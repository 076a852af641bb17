// What --ready-fd says, once.
#pragma once

#include "master/children.h"

#include <string>

namespace tambo::master {

// One JSON object: {"pid", "directory", "hostname", "ports": {"smtp": 25, ...}}; of a key with
// several listeners the port of the first.
std::string ready_line(const Surroundings& around);

} // namespace tambo::master

// What --ready-fd says, once, and what a terminal is told.
#pragma once

#include "master/children.h"

#include <string>

namespace tambo::master {

// One JSON object: {"pid", "directory", "hostname", "ports": {"smtp": 25, ...}}; of a key with
// several listeners the port of the first.
std::string ready_line(const Surroundings& around);
// For a person: as what it serves, where its events are.
std::string terminal_line(const Surroundings& around);

} // namespace tambo::master

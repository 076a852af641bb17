// The wiring tables as text: the picture in README and ARCHITECTURE, printed by
// `master --print-wiring`. A test compares.
#pragma once

#include <string>

namespace tambo::master {

// A mermaid flowchart in a fenced block, then a table of the processes, both Markdown.
std::string wiring_picture();

} // namespace tambo::master

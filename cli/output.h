// How answers are printed: a table on a terminal, tab-separated values without header elsewhere,
// one JSON object per line with --json. Data goes to standard output, everything else to standard
// error.
#pragma once

#include "cli/context.h"

#include <string>
#include <string_view>

namespace tambo::cli {

// Control characters and tabs in values are escaped in every format.
void print_answer(const ipc::AdminAnswer& answer, Format format);
// The text of print_answer, for tests.
std::string render(const ipc::AdminAnswer& answer, Format format);
void complain(std::string_view text);

} // namespace tambo::cli

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
// To standard error; every line of it begins with the name of the command.
void complain(std::string_view text);
// On a terminal, and no form of output was asked for.
bool is_for_a_person(Format format);
// That it is done, if it is for a person; scripts see the exit status.
void confirm(std::string_view text, Format format);

} // namespace tambo::cli

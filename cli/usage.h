// What is wrong with a command line, in the words of who typed it.
#pragma once

#include <span>
#include <string>

namespace CLI {
class App;
class ParseError;
} // namespace CLI

namespace tambo::cli {

// words: the command line without the program's name, which app could not take, as error says.
// Names a command that does not exist, and the one that was meant; lists the commands where one is
// missing.
std::string
explain_usage(const CLI::App& app, std::span<char* const> words, const CLI::ParseError& error);

} // namespace tambo::cli

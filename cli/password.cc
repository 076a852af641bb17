#include "cli/password.h"

#include "cli/context.h"
#include "cli/output.h"
#include "common/base/password_rule.h"
#include "common/base/text.h"
#include "common/sys/clock.h"

#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <iostream>

namespace tambo::cli {

namespace {

constexpr int kTriesMax = 3;

std::string read_hidden(const std::string& prompt) {
    termios before{};
    ::tcgetattr(STDIN_FILENO, &before);
    termios hidden = before;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    std::fputs(prompt.c_str(),
               stderr); // what is typed from here on is neither shown nor thrown away
    std::string line;
    std::getline(std::cin, line);
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    std::fputc('\n', stderr);
    if (std::cin.fail()) throw Failure{EX_DATAERR, "no password was given"};
    return line;
}

// The problem with what was typed; empty, and the password is in text.
std::string ask_twice(const std::string& prompt, bool weak, std::string& text) {
    text = read_hidden(prompt);
    if (const auto problem = password_problem(text, weak)) return *problem;
    return text == read_hidden("Once more: ") ? "" : "the two passwords differ";
}

// Syllables that are hard to mishear; 16 onsets, 5 vowels, 12 ends: about 9.9 bits each.
constexpr std::string_view kOnsets = "bdfghjklmnprstvz";
constexpr std::string_view kVowels = "aeiou";
constexpr std::array<std::string_view, 12> kEnds{"",  "b", "d", "f",  "k",  "l",
                                                 "m", "n", "r", "sk", "st", "x"};

} // namespace

std::string generate_password() {
    SystemRandom random;
    std::string text;
    for (int word = 0; word < 4; ++word) {
        for (int syllable = 0; syllable < 2; ++syllable) {
            text.push_back(kOnsets[random.below(kOnsets.size())]);
            text.push_back(kVowels[random.below(kVowels.size())]);
            text.append(kEnds[random.below(kEnds.size())]);
        }
        text.push_back('-');
    }
    return text + cat(10 + random.below(90));
}

Password obtain_password(const PasswordSource& source, const std::string& account) {
    if (source.generate) return {generate_password(), true};
    if (source.from_stdin) {
        std::string line;
        std::getline(std::cin, line);
        if (!line.empty() && line.back() == '\r') line.pop_back();
        return {line, false};
    }
    if (!::isatty(STDIN_FILENO) || !::isatty(STDERR_FILENO)) {
        throw Failure{EX_USAGE, "no terminal to ask for the password; use --stdin or --generate"};
    }
    const std::string prompt =
        cat("Password for ", escape(account), source.weak ? ": " : " (at least 8 characters): ");
    std::string text;
    for (int tries = 1;; ++tries) {
        const std::string problem = ask_twice(prompt, source.weak, text);
        if (problem.empty()) return {text, false};
        if (tries == kTriesMax) throw Failure{EX_DATAERR, problem};
        complain(cat(problem, "; once again"));
    }
}

} // namespace tambo::cli

// Where a password comes from: a prompt (twice), standard input, or made up. Never an argument.
#pragma once

#include <string>

namespace tambo::cli {

struct PasswordSource {
    bool from_stdin = false; // --stdin: the first line
    bool generate = false;   // --generate
    bool weak = false;       // --weak: fewer than 8 characters are accepted
};

struct Password {
    std::string text;
    bool generated = false; // to be shown once
};

// For that account, which the prompt names. A terminal is asked again, three times in all, when the
// password will not do or the two entries differ. Throws Failure: EX_USAGE without a source on a
// non-terminal, EX_DATAERR when the last try was no better.
Password obtain_password(const PasswordSource& source, const std::string& account);

// Five words and digits from getrandom: about 80 bits, easy to read out.
std::string generate_password();

} // namespace tambo::cli

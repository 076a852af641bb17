// Reads tambo.toml and conf.d: the only TOML reader of the suite. It finds all problems, not just
// the first, and never changes a file. Run by master and by `tambo config`, both trusted with the
// files they read.
#pragma once

#include "common/conf/config.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::conf {

// Where a value was set. line and column count from 1; 0 where there is none (the command line).
struct Place {
    std::string file;
    int64_t line = 0, column = 0;
};

enum class Severity { error, warning };

struct Problem {
    Place place;
    Severity severity = Severity::error;
    std::string message;

    // "/etc/tambo/tambo.toml:3:1: error: unknown key ..."
    std::string text() const;
};

// What is to be read.
struct Request {
    std::string file;                  // tambo.toml; conf.d/*.toml beside it is read after it
    std::vector<std::string> settings; // "KEY=VALUE" of --set, applied last
    // Judges one certificate with its key (PEM texts); returns what is wrong with them. Empty:
    // the files are only read.
    std::function<std::optional<std::string>(std::string_view certificate, std::string_view key)>
        check_certificate;
};

struct Loaded {
    // Present if there was no error.
    std::optional<Config> config;
    // Present if every file could be read and `directory` is right: enough to find the suite,
    // whatever else is wrong. Keys with errors are at their defaults, and of a file that is not
    // TOML only `directory` and `hostname` are taken, from the lines that are right.
    std::optional<Config> located;
    // Errors and warnings in the order of the places.
    std::vector<Problem> problems;
    // Where each key that is not at its default was set.
    std::map<std::string, Place, std::less<>> places;

    // All problems, one a line.
    std::string report() const;
};

// Later files win over earlier ones, key by key; --set wins over all. A table or key whose name
// begins with x_ is a note and ignored. Certificates, keys and the password file are opened to see
// that they can be read. Does not throw for anything that a file may contain.
Loaded load(const Request& request);

// A Config with every default; hostname is empty.
Config defaults();

} // namespace tambo::conf

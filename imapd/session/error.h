// How a handler or a parser ends a command that does not succeed. Thrown anywhere below dispatch,
// answered once there.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace tambo::imap {

// Tagged NO: a sound request that is refused. code is a response code without brackets
// (RFC 3501 7.1, RFC 5530), may be empty. Neither text holds bytes of the peer.
struct No : std::exception {
    std::string code, text;

    No(std::string c, std::string t) : code(std::move(c)), text(std::move(t)) {}
    const char* what() const noexcept override { return text.c_str(); }
};

// Tagged BAD: not IMAP, or not in this state. Counted against limits::bad_commands.
struct Bad : std::exception {
    std::string code, text;

    explicit Bad(std::string t) : text(std::move(t)) {}
    Bad(std::string c, std::string t) : code(std::move(c)), text(std::move(t)) {}
    const char* what() const noexcept override { return text.c_str(); }
};

} // namespace tambo::imap

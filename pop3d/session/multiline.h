// The bytes of a message as a multi-line response: dot-stuffing, the end, and TOP's cut. Pure,
// incremental (pieces may end anywhere), linear. RFC 1939 3, 7 (TOP).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tambo::pop3 {

// Writes text so that no line of it can end the response early. A bare LF counts as a line end too:
// there are clients that take it for one.
class DotStuffer {
  public:
    // Appends at most twice the piece's bytes to out.
    void feed(std::string_view piece, std::string& out);
    // Appends the end of the response, and before it a line end if the text has none.
    void finish(std::string& out);

  private:
    bool line_start_ = true;
};

// How much of a message TOP sends: header, the empty line, and so many lines of the body.
class TopCut {
  public:
    explicit TopCut(uint64_t body_lines) : lines_left_(body_lines) {}
    // The beginning of the piece that belongs to the answer.
    std::string_view take(std::string_view piece);
    // Nothing more belongs to it.
    bool done() const { return !in_header_ && lines_left_ == 0; }

  private:
    void end_line();

    uint64_t lines_left_;
    uint64_t line_bytes_ = 0; // of the current line, its line end included
    char last_ = 0;
    bool in_header_ = true;
    bool blank_ = false; // the line that ended last was empty
};

} // namespace tambo::pop3

// The content of DATA on the wire, RFC 5321 4.1.1.4 and 4.5.2: the decoder for the server, the
// encoder for the relay client. Only CR LF "." CR LF ends a message. A bare CR, a bare LF or a NUL
// never ends anything and is reported, so that the message can be refused at its true end
// (SMTP smuggling, RULES.md F1, F2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tambo::smtp {

// Takes the bytes behind the 354 in any pieces.
class DataDecoder {
  public:
    enum Flaw : unsigned { bare_cr = 1, bare_lf = 2, nul = 4 };

    // Appends the message's bytes to out, dot-unstuffed and otherwise exactly as sent, and returns
    // how many bytes of in belong to the message: all, or fewer if the end is among them.
    size_t feed(std::string_view in, std::string& out);

    // The final dot has been seen; feed() takes nothing more.
    bool ended() const { return state_ == State::ended; }
    // Bits of Flaw seen so far; 0 for a proper message.
    unsigned flaws() const { return flaws_; }
    bool has_8bit() const { return has_8bit_; }
    // Of the decoded message: bytes, and line ends (CRLF).
    uint64_t bytes() const { return bytes_; }
    uint64_t lines() const { return lines_; }

  private:
    // Where the next byte stands. dot: a '.' at a line's start is held back; dot_cr: ".\r" is.
    enum class State { line_start, text, cr, dot, dot_cr, ended };
    size_t take_lines(std::string_view in, size_t at, std::string& out);
    size_t take_edge(std::string_view in, size_t at, std::string& out);

    State state_ = State::line_start;
    unsigned flaws_ = 0;
    bool has_8bit_ = false;
    uint64_t bytes_ = 0;
    uint64_t lines_ = 0;
};

// Makes the wire form of a stored message, given in any pieces. A message with a bare CR, a bare LF
// or a NUL is refused: it must never leave this host.
class DataEncoder {
  public:
    // Appends to out. false: refused; out then holds an unfinished message and the connection can
    // only be closed.
    [[nodiscard]] bool feed(std::string_view in, std::string& out);
    // Appends the missing CRLF, if any, and the final dot. false as above.
    [[nodiscard]] bool finish(std::string& out);

  private:
    bool line_start_ = true;
    bool after_cr_ = false;
};

} // namespace tambo::smtp

// CommandReader: from the bytes of a connection to complete commands. It alone knows where a line,
// a literal (RFC 3501 4.3, RFC 7888) and a command end; what is refused is still consumed exactly,
// so that the bytes of a literal are never taken for a command.
//
// Pure and incremental: it does no input or output, and how the bytes are cut into pieces makes no
// difference. It holds at most limits of one command; reset() gives the memory back.
#pragma once

#include "common/base/limits.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tambo::imap {

struct ReaderLimits {
    size_t line_bytes;    // of one line, its end included
    size_t literal_bytes; // of all literals of a command
    size_t command_bytes; // of a command, its literals included; of what is skipped as well
    int literals;
    bool append; // APPEND's message literal is handed out as it comes
};

inline constexpr ReaderLimits kPreloginLimits{
    limits::imap_line_prelogin_bytes, limits::imap_literal_prelogin_bytes,
    limits::imap_line_prelogin_bytes + limits::imap_literal_prelogin_bytes,
    limits::imap_literals_max, false};
inline constexpr ReaderLimits kSessionLimits{limits::imap_line_bytes, limits::imap_command_bytes,
                                             limits::imap_command_bytes, limits::imap_literals_max,
                                             true};

struct LiteralHeader {
    uint64_t size = 0;
    bool synchronising = true; // the client waits for "+ "
};

class CommandReader {
  public:
    enum class Event {
        more,     // all input is consumed
        go_ahead, // send "+ " and flush, then go on: the client waits to send a literal
        command,  // text() is a complete command (or, in raw mode, a line)
        message,  // text() ends in the header of APPEND's message; answer by take or refuse
        data,     // data() is a piece of the message
        refused,  // the command is over and not to be run: answer BAD reason(), or what
                  // refuse_message() was called for
        hopeless, // framing is lost or too much would have to be skipped: BYE, close
    };

    explicit CommandReader(const ReaderLimits& limits) : limits_(limits) {}

    // Consumes from the front of input up to the first event. After command and refused call
    // reset() before the next feed().
    Event feed(std::string_view& input);

    // The command without its final line end. Literals are in place: "{5}\r\nbytes". Behind a
    // taken message stands only its header. Valid until reset().
    const std::string& text() const { return text_; }
    // Of the current command, also after refused; "*" if it has none.
    std::string_view tag() const { return tag_.empty() ? std::string_view("*") : tag_; }
    // Valid until the next feed().
    std::string_view data() const { return data_; }
    // Text of BAD, without brackets of the response code; code() may be empty.
    const char* reason() const { return reason_; }
    const char* code() const { return code_; }

    // After message: its header.
    const LiteralHeader& literal() const { return literal_; }
    // The message comes as data events (none for size 0), then the rest of the command. The caller
    // sends "+ " if the literal is synchronising.
    void take_message();
    // Neither was called yet.
    bool message_waits() const { return message_waits_; }
    // A synchronising literal: the command is over now (the caller answers; reset() is done here),
    // true. Else its bytes and the rest of the command are skipped, up to a refused event: false.
    bool refuse_message();
    // Bytes of the message that have not come yet.
    uint64_t message_left() const { return left_; }

    // Lines are handed out as they are, empty ones too: for SASL responses and DONE.
    void set_raw(bool raw) { raw_ = raw; }
    // Ready for the next command; the buffer is given back if it was large.
    void reset();
    // Nothing of a command has come yet.
    bool idle() const { return state_ == State::line && text_.empty() && !refused_; }

  private:
    enum class State { line, literal, skip, message, lost };

    bool take_line(std::string_view& input);
    Event end_line();
    Event on_literal();
    Event skip_literal();
    void refuse(const char* code, const char* reason);
    void note_tag();
    bool at_message() const;

    ReaderLimits limits_;
    State state_ = State::line;
    std::string text_;
    std::string tag_;
    std::string_view data_;
    size_t line_start_ = 0; // in text_
    size_t line_bytes_ = 0; // of the current line so far
    size_t skipped_ = 0;    // of a refused command
    size_t literal_bytes_ = 0;
    int literals_ = 0;
    uint64_t left_ = 0; // of the current literal
    LiteralHeader literal_;
    bool refused_ = false;
    bool message_waits_ = false;
    bool message_taken_ = false;
    bool raw_ = false;
    const char* code_ = "";
    const char* reason_ = "";
};

// The literal header at the end of a line without its line end: "{310}" or "{310+}". Returns false
// if there is none; a size beyond 2^63 is given as UINT64_MAX.
bool find_literal_header(std::string_view line, LiteralHeader& header);

} // namespace tambo::imap

// Replies of other servers, as the relay client reads them: incremental, bounded, sanitised. What a
// server says is text for people; nothing of it is parsed twice (RULES.md I2).
#pragma once

#include "common/smtp/extensions.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::smtp {

struct ServerReply {
    int code = 0;         // 200..599
    std::string enhanced; // "5.1.1" if the first line has one of the code's class, else empty
    // One or more. Without code and enhanced code, controls removed, malformed UTF-8 as '?', each
    // cut at limits::relay_reply_line_bytes.
    std::vector<std::string> lines;

    bool positive() const { return code < 400; }
    bool permanent() const { return code >= 500; }
    // The lines with blanks between them, for logs and bounces, cut at kTextBytesMax: what is told
    // of fifty recipients at once must fit a datagram.
    static constexpr size_t kTextBytesMax = 1000;
    std::string text() const;
};

// One reply. Only CRLF ends a line.
class ReplyParser {
  public:
    enum class State {
        wanting,
        complete,
        // Longer than limits::relay_reply_lines or kBytesMax: reply() holds the code and what fits.
        // The rest of the stream has no meaning: close the connection, and take only a refusal for
        // an answer.
        overlong,
        // Not a reply of RFC 5321 4.2: no code, or the code changes between lines. Close.
        malformed,
    };
    // Of one reply, line ends included; a line may be as long, what it holds beyond
    // limits::relay_reply_line_bytes is dropped.
    static constexpr size_t kBytesMax = 1u << 20;

    // Takes bytes while the state is wanting; returns how many (the rest belongs to later replies).
    size_t feed(std::string_view in);
    State state() const { return state_; }
    // In states complete and overlong.
    const ServerReply& reply() const { return reply_; }
    ServerReply take_reply() { return std::move(reply_); }

  private:
    void end_line();
    void add_text(std::string_view text);

    State state_ = State::wanting;
    ServerReply reply_;
    std::string line_; // the current one, cut
    size_t bytes_ = 0;
    bool after_cr_ = false;
};

// What a server offers in its reply to EHLO. RFC 5321 4.1.1.1.
struct ServerOffer {
    ExtensionSet extensions;
    std::optional<uint64_t> size_max;    // RFC 1870: absent or 0 means no fixed limit (nullopt)
    std::vector<std::string> mechanisms; // of AUTH, in upper case
};
ServerOffer parse_offer(const ServerReply& ehlo);

} // namespace tambo::smtp

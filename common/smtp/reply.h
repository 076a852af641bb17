// SMTP replies as values: code, enhanced status code (RFC 3463), text. The server's handlers return
// them or throw Reject; only append_to() makes bytes of them, so no text can break the framing.
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace tambo::smtp {

// A fixed reply of the table in reply_texts.h. enhanced is empty where RFC 2034 4 wants none.
struct ReplyText {
    int code;
    std::string_view enhanced;
    std::string_view text;
};

struct Reply {
    int code = 0;         // 200..599
    std::string enhanced; // "5.1.1", or empty
    std::string text;     // one or more lines, separated by '\n'

    Reply() = default;
    Reply(int reply_code, std::string_view enhanced_code, std::string_view reply_text)
        : code(reply_code), enhanced(enhanced_code), text(reply_text) {}
    Reply(const ReplyText& fixed) // NOLINT(google-explicit-constructor): a table row is a reply
        : Reply(fixed.code, fixed.enhanced, fixed.text) {}

    bool refused() const { return code >= 400; }
    bool permanent() const { return code >= 500; }
    // The wire form, RFC 5321 4.2.1: "250-2.1.5 a\r\n250 2.1.5 b\r\n". Anything but printable ASCII
    // becomes '?', a line is cut at 512 bytes (RFC 5321 4.5.3.1.5).
    void append_to(std::string& out) const;
    std::string wire() const;
};

// Thrown anywhere below a command handler; answered once, in the session's dispatch.
struct Reject : std::exception {
    Reply reply;

    explicit Reject(Reply r) : reply(std::move(r)) {}
    Reject(int code, std::string_view enhanced, std::string_view text)
        : reply(code, enhanced, text) {}
    const char* what() const noexcept override { return reply.text.c_str(); }
};

// True for "4.7.1" and the like: class 2, 4 or 5, subject and detail of 1 to 3 digits without
// leading zeros (RFC 3463 2).
bool is_enhanced_code(std::string_view code);

} // namespace tambo::smtp

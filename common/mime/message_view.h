// A message as the suite keeps it: a small prefix (the trace fields that we add) and the body file
// as it came. All offsets in mime are offsets in prefix + body; nothing ever joins the two.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tambo::mime {

// Bytes begin..end of a message.
struct Range {
    size_t begin = 0, end = 0;

    size_t size() const { return end - begin; }
    bool operator==(const Range&) const = default;
};

// Both views must outlive the MessageView and everything that refers to it.
class MessageView {
  public:
    MessageView() = default;
    explicit MessageView(std::string_view body) : body_(body) {}
    MessageView(std::string_view prefix, std::string_view body) : prefix_(prefix), body_(body) {}

    size_t size() const { return prefix_.size() + body_.size(); }
    char at(size_t offset) const {
        return offset < prefix_.size() ? prefix_[offset] : body_[offset - prefix_.size()];
    }
    // The longest run of bytes from offset on that lies in one piece; empty at the end.
    std::string_view run(size_t offset) const {
        if (offset < prefix_.size()) return prefix_.substr(offset);
        return body_.substr(offset - prefix_.size());
    }
    // The bytes of range, cut to the message: a view of the message, or of scratch where the range
    // lies across the seam (then it is copied).
    std::string_view slice(Range range, std::string& scratch) const;
    std::string copy(Range range) const;
    // Calls sink(std::string_view) for one or two pieces.
    template <class Sink>
    void for_each_piece(Range range, Sink&& sink) const {
        while (range.begin < range.end && range.begin < size()) {
            const auto piece = run(range.begin).substr(0, range.size());
            sink(piece);
            range.begin += piece.size();
        }
    }

  private:
    std::string_view prefix_, body_;
};

struct Line {
    Range range; // with its line end
    size_t line_end =
        0; // bytes of the line end: 2 for CR LF, 1 for LF, 0 at the end of the message

    size_t content_end() const { return range.end - line_end; }
    bool blank() const { return line_end > 0 && range.size() == line_end; }
};

// The lines of a message, one after the other, in one pass.
class LineReader {
  public:
    explicit LineReader(const MessageView& message, size_t offset = 0)
        : message_(message), at_(offset) {}

    // false: there is no more line.
    bool next(Line& line);
    // Where the next line begins.
    size_t position() const { return at_; }

  private:
    const MessageView& message_;
    size_t at_;
};

} // namespace tambo::mime

// What SEARCH compares (RFC 9051 6.4.4): the decoded text of headers and parts, folded as
// i;unicode-casemap does it (RFC 5051: case and composition do not count), and substring matching
// on it. Folding maps every character for itself, so text may come in pieces.
#pragma once

#include "common/mime/header.h"
#include "common/mime/structure.h"

#include <functional>
#include <string>
#include <string_view>

namespace tambo::mime {

// Appends the folded form of UTF-8 text: compatibility decomposition and simple case folding.
// ASCII text stays as long as it is. What is no UTF-8 is kept as it is.
void append_folded(std::string& out, std::string_view utf8);
std::string folded(std::string_view utf8);

// Looks for one string in text that comes piece by piece. Linear, memory bounded by twice the
// needle and one piece.
class TextMatcher {
  public:
    // needle: UTF-8, as the client sent it. An empty one matches always.
    explicit TextMatcher(std::string_view needle);
    // Pieces end at a character's end. Returns found().
    bool feed(std::string_view utf8);
    // The text ends, or another text begins: what comes next is not joined to what came before.
    void boundary();
    bool found() const { return found_; }

  private:
    void search();

    std::string needle_, window_;
    bool found_;
};

bool contains_folded(std::string_view utf8, std::string_view needle);

// Receives UTF-8 text; an empty piece is a boundary between texts. false: enough.
using TextSink = std::function<bool(std::string_view)>;

enum class SearchScope : uint8_t {
    body, // BODY: text parts, and the headers of parts and of messages in the message
    text  // TEXT: the message's own header too
};
// Decodes all that SEARCH TEXT or BODY looks at: headers with their encoded words, text/* parts
// without transfer encoding and charset. Stops when sink says so. Linear; memory is one piece.
void search_text(const MessageView& message,
                 const Structure& structure,
                 SearchScope scope,
                 const TextSink& sink);
// One field's value as text, for SUBJECT, FROM, HEADER and so on.
std::string field_text(const Field& field);

} // namespace tambo::mime

// Encoded words (RFC 2047, with the language tag of RFC 2231 5): header text to UTF-8 and back.
#pragma once

#include <string>
#include <string_view>

namespace tambo::mime {

// Header text as a reader sees it: folds removed, encoded words decoded (lenient: longer than 75
// bytes, with blanks inside, characters split between words), 8-bit text guessed. Line ends and NUL
// that were hidden in encoded words become blanks. Linear.
std::string decode_words(std::string_view raw);

// text can stand in a header as it is: printable ASCII that does not look like an encoded word.
bool is_plain(std::string_view text);
// UTF-8 text as encoded words of at most 75 bytes, joined by one blank; fit for unstructured fields
// and for phrases (RFC 2047 5). column: what stands before the first one in its line, which becomes
// that much shorter (lines have 76 bytes, RFC 2047 2). Plain text is returned unchanged.
std::string encode_words(std::string_view utf8, size_t column = 1);

} // namespace tambo::mime

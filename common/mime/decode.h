// Content transfer encodings (RFC 2045 6), streaming in both directions. Decoding never fails:
// what does not belong to the encoding is skipped (base64) or kept as it is (quoted-printable).
#pragma once

#include "common/mime/charset.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tambo::mime {

enum class Encoding : uint8_t { identity, quoted_printable, base64, unknown };

// RFC 2045 6.7. Blanks before a line end are dropped; "=" without hex digits stays.
class QuotedPrintableDecoder {
  public:
    void feed(std::string_view in, std::string& out);
    void finish(std::string& out);

  private:
    enum class At : uint8_t { text, blank, equals, hex, soft_blank, soft_cr };
    void byte(char c, std::string& out);
    bool continues(char c, std::string& out);

    At at_ = At::text;
    std::string held_; // blanks or the start of an escape that may have to be put out
};

// RFC 2045 6.8. Bytes outside of the alphabet are skipped, padding ends a group anywhere, so that
// joined encodings are read too.
class Base64Decoder {
  public:
    void feed(std::string_view in, std::string& out);
    void finish(std::string& out);

  private:
    uint32_t bits_ = 0;
    int count_ = 0; // characters in bits_
};

// Text to quoted-printable: line ends (CR LF or LF) stay line ends, as CR LF; lines of at most 76.
class QuotedPrintableEncoder {
  public:
    void feed(std::string_view in, std::string& out);
    void finish(std::string& out);

  private:
    void put(char c, bool escaped, std::string& out);
    void line_end(std::string& out);

    size_t column_ = 0;
    char held_ = '\0'; // a blank or CR whose follower decides
    void release(std::string& out, bool before_line_end);
};

// Bytes to base64 in lines of 76.
class Base64Encoder {
  public:
    void feed(std::string_view in, std::string& out);
    void finish(std::string& out);

  private:
    std::string held_; // less than a line
};

// Content of a part: transfer encoding off. identity and unknown pass bytes on.
class BodyDecoder {
  public:
    explicit BodyDecoder(Encoding encoding) : encoding_(encoding) {}
    void feed(std::string_view in, std::string& out);
    void finish(std::string& out);

  private:
    Encoding encoding_;
    QuotedPrintableDecoder quoted_printable_;
    Base64Decoder base64_;
};

// Content of a text part as UTF-8: transfer encoding and charset off. After each feed() out ends at
// a character's end.
class TextDecoder {
  public:
    TextDecoder(Encoding encoding, std::string_view charset) : body_(encoding), charset_(charset) {}
    void feed(std::string_view in, std::string& out);
    void finish(std::string& out);

  private:
    BodyDecoder body_;
    CharsetDecoder charset_;
    std::string bytes_;
};

std::string decode_body(Encoding encoding, std::string_view in);

} // namespace tambo::mime

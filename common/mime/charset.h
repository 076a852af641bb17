// Text of any charset to UTF-8, by ICU. Reading mail never fails: what cannot be converted becomes
// U+FFFD, an unknown charset is guessed (UTF-8, else windows-1252). The names come from strangers:
// only charsets inside ICU's library are used, never a file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tambo::mime {

void append_utf8(std::string& out, char32_t code_point);
// The character of a well-formed sequence (text.h, utf8_sequence).
char32_t code_point(std::string_view sequence);

// Streaming conversion. After each feed() out ends at a character's end.
class CharsetDecoder {
  public:
    // name: as in a charset parameter or encoded word, any case; empty or unknown: guess.
    explicit CharsetDecoder(std::string_view name);
    ~CharsetDecoder();
    CharsetDecoder(CharsetDecoder&&) noexcept;
    CharsetDecoder& operator=(CharsetDecoder&&) noexcept;

    // Appends the UTF-8 of bytes to out; an unfinished character is kept for the next call.
    void feed(std::string_view bytes, std::string& out);
    void finish(std::string& out);

  private:
    enum class Kind : uint8_t { utf8, guess, windows_1252, icu };
    struct Converter;

    void feed_utf8(std::string_view bytes, std::string& out);
    void feed_broken(char c, std::string& out) const;

    Kind kind_ = Kind::guess;
    std::string pending_; // unfinished UTF-8 sequence, at most 3 bytes
    std::unique_ptr<Converter> converter_;
};

std::string to_utf8(std::string_view charset, std::string_view bytes);
// bytes whose charset nobody told: UTF-8 where it is well-formed, windows-1252 elsewhere.
std::string guess_utf8(std::string_view bytes);

} // namespace tambo::mime

// A complete header section as a list of fields (RFC 5322 2.2). It keeps every byte: a line that is
// no field is kept as a field without name, so that nothing a sender wrote is hidden. Line ends are
// LF with or without CR. header_scanner.h does the same for a header that is still arriving.
#pragma once

#include "common/mime/message_view.h"

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::mime {

// Views refer to the text that was parsed.
struct Field {
    std::string_view name;  // as written, without the blanks before the colon; empty: no field
    std::string_view value; // raw, behind the colon, without the last line end; at most
                            // limits::header_field_bytes_max (the rest is not looked at)
    Range range;            // the whole field with its last line end, in the message
    bool obsolete = false;  // "Name : value" (RFC 5322 4.5)
};

class Header {
  public:
    // The header section that text begins with; what follows the blank line is not looked at. base
    // is the offset of text in the message. Behind limits::header_lines_max lines or
    // limits::header_bytes_max bytes fields are not indexed any more: truncated(), but end() is
    // right. text must outlive the Header.
    static Header parse(std::string_view text, size_t base = 0);
    template <std::same_as<std::string> S>
    static Header parse(S&& temporary, size_t base = 0) = delete;

    const std::vector<Field>& fields() const { return fields_; }
    // Behind the blank line that ends the section, or the end of text.
    size_t end() const { return end_; }
    bool has_blank_line() const { return has_blank_line_; }
    bool truncated() const { return truncated_; }

    // The first field of that name (any case), nullptr if there is none.
    const Field* find(std::string_view name) const;
    size_t count(std::string_view name) const;
    // The raw value of the first one, empty if there is none.
    std::string_view value(std::string_view name) const;

  private:
    void add_line(std::string_view line, size_t offset);

    std::vector<Field> fields_;
    size_t end_ = 0;
    bool has_blank_line_ = false, truncated_ = false;
};

// Copies what the header section of message begins with, blank line included, at most
// limits::header_bytes_max: the text to give to Header::parse() where the seam may lie inside.
std::string header_text(const MessageView& message);

} // namespace tambo::mime

// The header of a message that is still arriving, for the SMTP DATA path: fed with whatever chunks
// the network gives, it counts, checks limits and keeps the few fields that policy looks at. It
// never holds more than limits::header_kept_bytes, whatever is sent.
#pragma once

#include "common/base/limits.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::mime {

// The fields that are counted. Names in header_scanner.cc.
enum class Watched : uint8_t {
    from,
    sender,
    reply_to,
    to,
    cc,
    bcc,
    subject,
    date,
    message_id,
    in_reply_to,
    references,
    received,
    delivered_to,
    return_path,
    auto_submitted,
    authentication_results,
    mime_version,
    content_type,
    content_transfer_encoding,
    none
};

struct KeptField {
    Watched name = Watched::none;
    std::string value; // raw, folds included, without the last line end
    size_t begin = 0;  // offset of the field in the header section
    size_t end = 0;    // behind its last line end
    bool truncated = false;
};

// What makes readers disagree, or is against the standards.
struct HeaderFlags {
    bool eight_bit = false; // RFC 6532, or nobody's charset
    bool nul = false;
    bool bare_cr = false;        // CR not followed by LF
    bool bare_lf = false;        // LF not preceded by CR
    bool obsolete_name = false;  // "Name : value"
    bool malformed_line = false; // neither a field nor a continuation
    // A control character before the colon (RFC 5322 2.2): no field to us, one to readers that take
    // it for a blank.
    bool control_in_name = false;
    bool repeated = false; // a field that may occur once occurs again (RFC 5322 3.6, RFC 2045)
};

class HeaderScanner {
  public:
    enum class Status : uint8_t { header, body, too_large };

    // The next bytes of the message. Returns how many of them belong to the header section, blank
    // line included; what follows is the body and is not looked at. too_large (over
    // limits::header_bytes_max or header_lines_max) is final: the rest counts as body.
    size_t feed(std::string_view chunk);
    // The message is complete; a last field without line end is taken.
    void finish();

    Status status() const { return status_; }
    const HeaderFlags& flags() const { return flags_; }
    size_t bytes() const { return bytes_; }
    size_t lines() const { return lines_; }
    size_t count(Watched name) const { return counts_[static_cast<size_t>(name)]; }
    // The kept fields in their order: the first two of each kept name, of Delivered-To and
    // Authentication-Results all, until limits::header_kept_bytes are used up.
    const std::vector<KeptField>& fields() const { return fields_; }
    // The raw values of that name, in order; views refer to the scanner.
    std::vector<std::string_view> values(Watched name) const;
    // The bound was reached: a value was cut or left out.
    bool kept_incomplete() const { return kept_incomplete_; }

  private:
    enum class At : uint8_t { line_start, line_start_cr, name, name_blanks, odd_name, content };

    void byte(char c);
    void name_byte(char c, bool after_cr);
    void end_line();
    void start_field();
    void end_field();
    void keep(std::string_view bytes);
    size_t take_content(std::string_view rest);

    Status status_ = Status::header;
    At at_ = At::line_start;
    HeaderFlags flags_;
    size_t bytes_ = 0, lines_ = 0, line_begin_ = 0, kept_bytes_ = 0;
    std::array<uint32_t, static_cast<size_t>(Watched::none) + 1> counts_{};
    std::array<char, 32> name_{};
    size_t name_size_ = 0; // may exceed name_: then no watched name
    bool field_open_ = false, keeping_ = false, last_cr_ = false, kept_incomplete_ = false;
    std::vector<KeptField> fields_;
};

} // namespace tambo::mime

// A message while it arrives: decodes DATA, looks at the header on the way, and says at the end why
// the message cannot be taken, if so. Holds a few KiB, whatever is sent.
#pragma once

#include "common/mime/header_scanner.h"
#include "common/smtp/data.h"
#include "common/smtp/reply.h"
#include "smtpd/forged_results.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tambo::smtpd {

class Content {
  public:
    // size_max: bytes of the message, dot-stuffing and prefix not counted. hostname: ours, under
    // which nobody else may claim authentication results.
    Content(uint64_t size_max, std::string_view hostname)
        : size_max_(size_max), forged_(hostname) {}

    // Takes what is there of the DATA stream; returns how much of it was the message's. Appends to
    // out what belongs into the spool file: nothing more once refusal() is certain.
    size_t feed(std::string_view in, std::string& out);
    bool ended() const { return decoder_.ended(); }
    // So much beyond every limit that reading on makes no sense.
    bool hopeless() const { return decoder_.bytes() / 5 > size_max_; }

    // After the end: why the message is refused, whoever sent it. Nullopt: it is taken.
    std::optional<smtp::ReplyText> refusal() const;

    const mime::HeaderScanner& header() const { return scanner_; }
    uint64_t bytes() const { return decoder_.bytes(); }
    bool has_8bit() const { return decoder_.has_8bit(); }
    // The first line is neither a header field nor empty: a blank line has to stand before it.
    bool lacks_header() const { return first_line_ == FirstLine::text; }
    size_t forged_results_removed() const { return forged_.removed(); }

  private:
    enum class FirstLine { start, name, field, empty, text };
    void look_at_first_line(std::string_view bytes);
    bool is_refused() const;

    uint64_t size_max_;
    smtp::DataDecoder decoder_;
    mime::HeaderScanner scanner_;
    ForgedResults forged_;
    std::string decoded_;
    FirstLine first_line_ = FirstLine::start;
};

} // namespace tambo::smtpd

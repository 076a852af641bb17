// A message for a next hop that lacks 8BITMIME (RFC 6152 3) or SMTPUTF8: body parts become
// quoted-printable or base64, headers become encoded words, RFC 2231 parameters and A-labels. The
// structure stays as it is. What cannot be converted without harm is refused: signed parts,
// addresses whose local part is not ASCII, identifiers.
#pragma once

#include "common/mime/decode.h"
#include "common/mime/structure.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::mime {

// What a message asks of the next hop.
struct MessageNeeds {
    bool eight_bit_mime = false; // 8-bit bytes outside of headers
    bool smtp_utf8 = false;      // 8-bit bytes in the header of the message or of a part
};
MessageNeeds message_needs(const MessageView& message, const Structure& structure);

// Headers with 8-bit bytes that came without SMTPUTF8 are common, and no conversion is asked for:
// whoever relays such a message sets smtp_utf8, and they stay as they are.
struct NextHop {
    bool eight_bit_mime = false, smtp_utf8 = false;
};

class Downgrade {
  public:
    enum class Verdict : uint8_t { not_needed, possible, impossible };

    // Decides; message and structure must outlive the Downgrade.
    Downgrade(const MessageView& message, const Structure& structure, const NextHop& next_hop);

    Verdict verdict() const { return verdict_; }
    // Of impossible: what it is that cannot be converted, for a log line or a bounce.
    std::string_view reason() const { return reason_; }
    // The next bytes of the converted message (about 16 KiB); false: there are no more. Only if the
    // verdict is possible.
    bool next(std::string& chunk);

  private:
    // What happens to a range of the message.
    struct Piece {
        enum class How : uint8_t { copy, mask, header, quoted_printable, base64 };
        How how = How::copy;
        Range range;
        uint32_t part = 0;                    // of header
        Encoding decode = Encoding::identity; // taken off before encoding
    };

    void plan();
    void plan_part(uint32_t index);
    void plan_body(const Part& part, const Header& header);
    void gap(size_t end);
    void add(Piece::How how, Range range, uint32_t part = 0, Encoding decode = Encoding::identity);
    void refuse(std::string_view reason);
    bool in_signed(uint32_t index) const;
    bool is_7bit(Range range) const;
    void encode(const Piece& piece, std::string_view bytes, bool last, std::string& chunk);
    std::optional<std::string> convert_header(uint32_t index) const;

    const MessageView& message_;
    const Structure& structure_;
    const NextHop next_hop_;
    Verdict verdict_ = Verdict::not_needed;
    std::string_view reason_;
    std::vector<Piece> pieces_;
    std::vector<bool> body_changes_;      // a leaf in or below the part has 8-bit bytes
    std::vector<Encoding> new_encodings_; // of each part; unknown: unchanged
    size_t planned_ = 0;                  // offset up to which pieces_ reach
    size_t piece_ = 0, offset_ = 0;       // where next() is
    BodyDecoder decoder_{Encoding::identity};
    QuotedPrintableEncoder quoted_printable_;
    Base64Encoder base64_;
};

} // namespace tambo::mime

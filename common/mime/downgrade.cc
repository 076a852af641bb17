// See downgrade.h. The plan is a list of ranges in the order of the message, made before the first
// byte is given out, so that a refusal comes in time.
#include "common/mime/downgrade.h"

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/mime/header_downgrade.h"

#include <algorithm>

namespace tambo::mime {

namespace {

constexpr size_t kChunkBytes = 16 * 1024;

bool all_ascii(const MessageView& message, Range range) {
    bool ascii = true;
    message.for_each_piece(range,
                           [&](std::string_view piece) { ascii = ascii && is_ascii(piece); });
    return ascii;
}

// Text survives quoted-printable with its line ends; anything else is bytes.
bool is_text(const MessageView& message, const Part& part) {
    bool text = iequals(part.type, "text") && !part.opaque;
    message.for_each_piece(part.body, [&](std::string_view piece) {
        text = text && piece.find('\0') == std::string_view::npos;
    });
    return text;
}

} // namespace

MessageNeeds message_needs(const MessageView& message, const Structure& structure) {
    MessageNeeds needs;
    size_t at = 0;
    for (const Part& part : structure.parts) {
        if (!all_ascii(message, {at, part.header.begin})) needs.eight_bit_mime = true;
        if (!all_ascii(message, part.header)) needs.smtp_utf8 = true;
        at = part.header.end;
    }
    if (!all_ascii(message, {at, message.size()})) needs.eight_bit_mime = true;
    return needs;
}

Downgrade::Downgrade(const MessageView& message,
                     const Structure& structure,
                     const NextHop& next_hop)
    : message_(message), structure_(structure), next_hop_(next_hop),
      new_encodings_(structure.parts.size(), Encoding::unknown) {
    const MessageNeeds needs = message_needs(message, structure);
    if ((!needs.eight_bit_mime || next_hop.eight_bit_mime) &&
        (!needs.smtp_utf8 || next_hop.smtp_utf8)) {
        return;
    }
    verdict_ = Verdict::possible;
    plan();
}

void Downgrade::plan() {
    // Children stand behind their parents: from the back, each part's answer is complete.
    body_changes_.resize(structure_.parts.size());
    for (size_t i = structure_.parts.size(); i-- > 0 && !next_hop_.eight_bit_mime;) {
        const Part& part = structure_.parts[i];
        if (part.kind == Part::Kind::leaf) body_changes_[i] = !is_7bit(part.body);
        if (body_changes_[i] && part.parent != kNoPart) body_changes_[part.parent] = true;
    }
    for (uint32_t i = 0; i < structure_.parts.size() && verdict_ == Verdict::possible; ++i) {
        plan_part(i);
    }
    gap(message_.size());
    // Every header is tried now: next() must not fail.
    for (const Piece& piece : pieces_) {
        if (verdict_ != Verdict::possible) return;
        if (piece.how == Piece::How::header && !convert_header(piece.part)) {
            refuse("a header field has no ASCII form");
        }
    }
}

void Downgrade::plan_part(uint32_t index) {
    const Part& part = structure_.parts[index];
    gap(part.header.begin);
    std::string scratch;
    const Header header = part_header(message_, part, scratch);
    const bool leaf = part.kind == Part::Kind::leaf;
    const bool body_changes = body_changes_[index];
    const bool header_changes = !next_hop_.smtp_utf8 && !is_7bit(part.header);
    if ((body_changes || header_changes) && in_signed(index)) {
        return refuse("a signed part has 8-bit bytes");
    }
    // A container's encoding says what is in it: 7bit once its parts are.
    const bool container_label =
        body_changes && !leaf && header.find("Content-Transfer-Encoding") != nullptr;
    if (container_label) new_encodings_[index] = Encoding::identity;
    const size_t piece = pieces_.size();
    add(Piece::How::copy, part.header, index);
    if (leaf && body_changes) {
        plan_body(part, header);
        if (verdict_ != Verdict::possible) return;
        new_encodings_[index] = pieces_.back().how == Piece::How::base64
                                    ? Encoding::base64
                                    : Encoding::quoted_printable;
    } else if (leaf) {
        add(Piece::How::copy, part.body);
    }
    if (header_changes || new_encodings_[index] != Encoding::unknown) {
        pieces_[piece].how = Piece::How::header;
    }
}

// The body of a leaf that has 8-bit bytes.
void Downgrade::plan_body(const Part& part, const Header& header) {
    const bool message_part = iequals(part.type, "message") || iequals(part.type, "multipart");
    if (part.opaque || message_part) return refuse("a nested message has 8-bit bytes");
    if (part.encoding == Encoding::unknown) return refuse("an unknown transfer encoding");
    if (header.count("Content-Type") > 1 || header.count("Content-Transfer-Encoding") > 1) {
        return refuse("an ambiguous part has 8-bit bytes");
    }
    const bool text = part.encoding == Encoding::base64 ? false : is_text(message_, part);
    add(text ? Piece::How::quoted_printable : Piece::How::base64, part.body, 0, part.encoding);
}

// What lies between parts: delimiters, preambles, epilogues.
void Downgrade::gap(size_t end) {
    if (end <= planned_) return;
    const Range range{planned_, end};
    const bool mask = !next_hop_.eight_bit_mime && !is_7bit(range);
    add(mask ? Piece::How::mask : Piece::How::copy, range);
}

void Downgrade::add(Piece::How how, Range range, uint32_t part, Encoding decode) {
    pieces_.push_back({how, range, part, decode});
    planned_ = range.end;
}

void Downgrade::refuse(std::string_view reason) {
    if (verdict_ == Verdict::impossible) return;
    verdict_ = Verdict::impossible;
    reason_ = reason;
}

// RFC 1847: what is below multipart/signed must not change, nor what is encrypted.
bool Downgrade::in_signed(uint32_t index) const {
    for (uint32_t at = structure_.parts[index].parent; at != kNoPart;
         at = structure_.parts[at].parent) {
        const Part& part = structure_.parts[at];
        if (part.is("multipart", "signed") || part.is("multipart", "encrypted")) return true;
    }
    return false;
}

bool Downgrade::is_7bit(Range range) const {
    return all_ascii(message_, range);
}

std::optional<std::string> Downgrade::convert_header(uint32_t index) const {
    const Part& part = structure_.parts[index];
    std::string scratch, copy;
    const Header header = part_header(message_, part, scratch);
    HeaderChange change;
    change.to_ascii = !next_hop_.smtp_utf8;
    change.message =
        part.parent == kNoPart || structure_.parts[part.parent].kind == Part::Kind::message;
    switch (new_encodings_[index]) {
    case Encoding::unknown:
        break;
    case Encoding::identity:
        change.new_encoding = "7bit";
        break;
    case Encoding::base64:
        change.new_encoding = "base64";
        break;
    case Encoding::quoted_printable:
        change.new_encoding = "quoted-printable";
        break;
    }
    if (part.kind == Part::Kind::leaf && !part.has_type) {
        std::string body; // RFC 1428 3 for what is no UTF-8
        change.default_charset =
            is_utf8(message_.slice(part.body, body)) ? "utf-8" : "unknown-8bit";
    }
    return change_header(header, message_.slice(part.header, copy), change);
}

bool Downgrade::next(std::string& chunk) {
    check(verdict_ == Verdict::possible, "there is nothing to convert");
    chunk.clear();
    while (chunk.empty() && piece_ < pieces_.size()) {
        const Piece& piece = pieces_[piece_];
        if (piece.how == Piece::How::header) {
            chunk = convert_header(piece.part).value_or("");
            ++piece_;
            continue;
        }
        if (offset_ == 0) decoder_ = BodyDecoder(piece.decode);
        const size_t from = piece.range.begin + offset_;
        const auto bytes =
            message_.run(from).substr(0, std::min(kChunkBytes, piece.range.end - from));
        offset_ += bytes.size();
        const bool last = offset_ == piece.range.size();
        encode(piece, bytes, last, chunk);
        if (!last) continue;
        ++piece_;
        offset_ = 0;
    }
    return !chunk.empty();
}

void Downgrade::encode(const Piece& piece, std::string_view bytes, bool last, std::string& chunk) {
    if (piece.how == Piece::How::copy || piece.how == Piece::How::mask) {
        chunk.append(bytes);
        if (piece.how == Piece::How::mask)
            std::replace_if(chunk.begin(), chunk.end(), is_8bit, '?');
        return;
    }
    std::string decoded;
    decoder_.feed(bytes, decoded);
    if (last) decoder_.finish(decoded);
    if (piece.how == Piece::How::quoted_printable) {
        quoted_printable_.feed(decoded, chunk);
        if (last) quoted_printable_.finish(chunk);
    } else {
        base64_.feed(decoded, chunk);
        if (last) base64_.finish(chunk);
    }
}

} // namespace tambo::mime

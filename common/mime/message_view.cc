#include "common/mime/message_view.h"

namespace tambo::mime {

std::string_view MessageView::slice(Range range, std::string& scratch) const {
    if (range.begin >= size() || range.end <= range.begin) return {};
    const auto piece = run(range.begin).substr(0, range.size());
    if (piece.size() == range.size() || range.begin + piece.size() == size()) return piece;
    scratch = copy(range);
    return scratch;
}

std::string MessageView::copy(Range range) const {
    std::string bytes;
    for_each_piece(range, [&](std::string_view piece) { bytes.append(piece); });
    return bytes;
}

bool LineReader::next(Line& line) {
    if (at_ >= message_.size()) return false;
    line.range.begin = at_;
    line.line_end = 0;
    while (at_ < message_.size() && line.line_end == 0) {
        const auto piece = message_.run(at_);
        const size_t found = piece.find('\n');
        if (found != std::string_view::npos) line.line_end = 1;
        at_ += found == std::string_view::npos ? piece.size() : found + 1;
    }
    line.range.end = at_;
    const bool cr = line.line_end == 1 && line.range.size() > 1 && message_.at(at_ - 2) == '\r';
    if (cr) line.line_end = 2;
    return true;
}

} // namespace tambo::mime

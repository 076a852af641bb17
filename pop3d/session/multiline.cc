#include "pop3d/session/multiline.h"

namespace tambo::pop3 {

void DotStuffer::feed(std::string_view piece, std::string& out) {
    if (piece.empty()) return;
    if (line_start_ && piece.front() == '.') out.push_back('.');
    line_start_ = piece.back() == '\n';
    for (;;) {
        const size_t end = piece.find("\n.");
        if (end == std::string_view::npos) break;
        out.append(piece.substr(0, end + 1)).push_back('.');
        piece.remove_prefix(end + 1);
    }
    out.append(piece);
}

void DotStuffer::finish(std::string& out) {
    out.append(line_start_ ? ".\r\n" : "\r\n.\r\n");
}

std::string_view TopCut::take(std::string_view piece) {
    size_t used = 0;
    while (!done() && used < piece.size()) {
        const auto rest = piece.substr(used);
        const size_t end = rest.find('\n');
        const auto part = rest.substr(0, end == std::string_view::npos ? end : end + 1);
        used += part.size();
        line_bytes_ += part.size();
        // Only for lines of one or two bytes does the byte before the LF matter.
        if (part.size() > 1) last_ = part[part.size() - 2];
        if (end == std::string_view::npos) {
            last_ = part.back();
            break;
        }
        blank_ = line_bytes_ == 1 || (line_bytes_ == 2 && last_ == '\r');
        end_line();
    }
    return piece.substr(0, used);
}

void TopCut::end_line() {
    line_bytes_ = 0;
    if (!in_header_) {
        --lines_left_;
    } else if (blank_) {
        in_header_ = false;
    }
}

} // namespace tambo::pop3

// See content.h.
#include "relayd/content.h"

#include "common/base/text.h"
#include "common/smtp/data.h"
#include "common/sys/error.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tambo::relayd {

void Content::read(uint64_t at, std::string& buffer) const {
    if (at < prefix_.size()) {
        buffer.assign(prefix_, at, kPieceBytes);
        return;
    }
    const uint64_t offset = at - prefix_.size();
    buffer.resize(std::min<uint64_t>(kPieceBytes, body_bytes_ - std::min(offset, body_bytes_)));
    size_t got = 0;
    while (got < buffer.size()) {
        const ssize_t n = ::pread(body_fd_, buffer.data() + got, buffer.size() - got,
                                  static_cast<off_t>(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) throw BodyFault(cat("message body: ", error_text(errno)));
        if (n == 0) throw BodyFault("message body: shorter than recorded");
        got += static_cast<size_t>(n);
    }
}

ContentFacts Content::inspect() const {
    ContentFacts facts;
    smtp::DataEncoder encoder; // judges line ends; its output is not wanted here
    std::string piece, wire;
    bool in_header = true;
    std::string seam; // the end of the piece before, where the empty line may have begun
    for (uint64_t at = 0;; at += piece.size()) {
        read(at, piece);
        if (piece.empty()) break;
        wire.clear();
        if (!encoder.feed(piece, wire)) {
            facts.clean = false;
            return facts;
        }
        std::string_view rest = piece;
        if (in_header) {
            const std::string joined = seam + piece;
            // An empty line at the very start: no header at all.
            const auto end = at == 0 && joined.starts_with("\r\n") ? 0 : joined.find("\r\n\r\n");
            const size_t header_end = std::min(end, joined.size());
            const size_t cut = header_end < seam.size() ? 0 : header_end - seam.size();
            facts.header_8bit = facts.header_8bit || !is_ascii(rest.substr(0, cut));
            in_header = end == std::string::npos;
            rest.remove_prefix(cut);
            seam = joined.substr(joined.size() - std::min<size_t>(3, joined.size()));
        }
        if (!in_header) facts.body_8bit = facts.body_8bit || !is_ascii(rest);
    }
    wire.clear();
    facts.clean = encoder.finish(wire);
    return facts;
}

} // namespace tambo::relayd

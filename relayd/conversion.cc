// See conversion.h. The body is mapped rather than read: bodies in the spool never change
// (RULES.md R12), and whole messages do not belong in a relay's memory.
#include "relayd/conversion.h"

#include "common/base/text.h"
#include "common/sys/error.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

namespace tambo::relayd {

Conversion::Conversion(const Content& content, const mime::NextHop& next_hop)
    : next_hop_(next_hop) {
    if (content.body_bytes() > 0) {
        struct stat info {};
        if (::fstat(content.body_fd(), &info) != 0)
            throw BodyFault(cat("message body: ", error_text(errno)));
        if (static_cast<uint64_t>(info.st_size) < content.body_bytes()) {
            throw BodyFault("message body: shorter than recorded");
        }
        void* at =
            ::mmap(nullptr, content.body_bytes(), PROT_READ, MAP_PRIVATE, content.body_fd(), 0);
        if (at == MAP_FAILED) throw BodyFault(cat("message body: ", error_text(errno)));
        mapped_ = {static_cast<const char*>(at), content.body_bytes()};
    }
    message_ = mime::MessageView(content.prefix(), mapped_);
    structure_.emplace(mime::parse_structure(message_));
    downgrade_.emplace(message_, *structure_, next_hop_);
}

Conversion::~Conversion() {
    if (!mapped_.empty()) ::munmap(const_cast<char*>(mapped_.data()), mapped_.size());
}

std::string_view Conversion::problem() const {
    switch (downgrade_->verdict()) {
    case mime::Downgrade::Verdict::possible:
        return {};
    case mime::Downgrade::Verdict::impossible:
        return downgrade_->reason();
    case mime::Downgrade::Verdict::not_needed:
        break;
    }
    return "its 8-bit bytes are in no part that can be converted";
}

uint64_t Conversion::size() {
    uint64_t bytes = 0;
    std::string piece;
    mime::Downgrade counting(message_, *structure_, next_hop_);
    while (counting.next(piece))
        bytes += piece.size();
    return bytes;
}

} // namespace tambo::relayd

#include "common/ipc/frame.h"

#include "common/base/bytes.h"
#include "common/base/limits.h"

namespace tambo::ipc {

std::string encode_header(const FrameHeader& header) {
    std::string out;
    out.reserve(kHeaderBytes);
    put_le(out, header.type);
    put_le(out, header.flags);
    put_le(out, header.length);
    put_le(out, header.id);
    return out;
}

std::optional<FrameHeader> decode_header(std::string_view datagram) {
    if (datagram.size() < kHeaderBytes || datagram.size() > limits::ipc_message_bytes) {
        return std::nullopt;
    }
    FrameHeader header;
    header.type = get_le<uint16_t>(datagram.data());
    header.flags = get_le<uint16_t>(datagram.data() + 2);
    header.length = get_le<uint32_t>(datagram.data() + 4);
    header.id = get_le<uint64_t>(datagram.data() + 8);
    if (header.length != datagram.size() - kHeaderBytes || header.flags > FrameHeader::reply) {
        return std::nullopt;
    }
    return header;
}

} // namespace tambo::ipc

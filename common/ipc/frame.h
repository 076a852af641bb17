// The frame around every message: one datagram = 16 bytes of header, the payload, descriptors.
#pragma once

#include "common/base/unique_fd.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::ipc {

inline constexpr size_t kHeaderBytes = 16;

// {type u16, flags u16, payload length u32, id u64}, little-endian.
struct FrameHeader {
    enum Flags : uint16_t { oneway = 0, request = 1, reply = 2 };
    uint16_t type = 0;
    uint16_t flags = 0;
    uint32_t length = 0;
    uint64_t id = 0; // pairs a reply with its request; 0 for one-way messages
};

// A frame as received. payload refers to bytes.
struct Frame {
    FrameHeader header;
    std::string bytes; // header included
    std::vector<UniqueFd> fds;

    std::string_view payload() const { return std::string_view(bytes).substr(kHeaderBytes); }
};

std::string encode_header(const FrameHeader& header);
// nullopt if the datagram is shorter than a header, its length does not match or its flags are
// unknown.
std::optional<FrameHeader> decode_header(std::string_view datagram);

// What becomes of a request whose peer is lost before it answered. Every request type states one.
enum class Loss {
    fail,   // PeerLost at once: the caller answers its own client with a temporary error
    ask,    // PeerLost at once, and the caller asks the successor for the outcome
    repeat, // sent again to the successor: only for requests without effect or with an own key
};

} // namespace tambo::ipc

// The bytes of one message as they leave: the prefix, then the body file, piece by piece.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace tambo::relayd {

// What must be known before the first byte leaves.
struct ContentFacts {
    bool clean = true; // only CRLF line ends, no NUL (RULES.md F2)
    bool header_8bit = false;
    bool body_8bit = false;
};

// The body cannot be read: our own fault, not the other server's.
struct BodyFault : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Content {
  public:
    // body_fd: borrowed, read with pread only. It must hold at least body_bytes; -1 with 0 bytes.
    Content(std::string prefix, int body_fd, uint64_t body_bytes)
        : prefix_(std::move(prefix)), body_fd_(body_fd), body_bytes_(body_bytes) {}

    uint64_t size() const { return prefix_.size() + body_bytes_; }
    const std::string& prefix() const { return prefix_; }
    int body_fd() const { return body_fd_; }
    uint64_t body_bytes() const { return body_bytes_; }
    // Replaces buffer by what stands at `at`: between 1 and kPieceBytes bytes, nothing at the end.
    // Throws BodyFault, also when the file is shorter than it should be.
    void read(uint64_t at, std::string& buffer) const;
    static constexpr size_t kPieceBytes = 64 * 1024;

    // Reads everything once. Throws BodyFault.
    ContentFacts inspect() const;

  private:
    std::string prefix_;
    int body_fd_;
    uint64_t body_bytes_;
};

} // namespace tambo::relayd

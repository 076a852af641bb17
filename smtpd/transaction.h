// A mail transaction: the buffers of RFC 5321 4.1.1, between MAIL and the end of DATA.
#pragma once

#include "common/ipc/messages/queued.h"
#include "common/smtp/command.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::smtpd {

// The recipients' addresses in one block: a thousand strings would be most of a session's memory.
class Recipients {
  public:
    enum class Added { yes, already, full };

    // bytes_max bounds the block.
    Added add(std::string_view address, size_t bytes_max);
    size_t size() const { return count_; }
    bool empty() const { return count_ == 0; }
    // The only one, if there is only one; refers to this object.
    std::string_view only() const;
    // In order, at most `most` from position (which moves on), for one message to queued.
    std::vector<ipc::EnvelopeRecipient> take(size_t& position, size_t most) const;

  private:
    std::string block_ = std::string(1, '\0'); // NUL before and behind each address
    size_t count_ = 0;
};

struct Transaction {
    std::string reverse_path, reverse_key; // empty: <>
    uint64_t size = 0;                     // SIZE=, 0 if not given
    smtp::BodyType body = smtp::BodyType::unspecified;
    bool smtputf8 = false;
    Recipients recipients;
};

} // namespace tambo::smtpd

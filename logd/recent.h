// The recent events, for `tambo trace`: the last megabytes of the log in memory, packed as they
// travel. Nothing here blocks or writes.
#pragma once

#include "common/sys/log.h"

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace tambo::logd {

class Recent {
  public:
    // bytes_max: of memory in all, what it costs to keep them included.
    explicit Recent(size_t bytes_max) : bytes_max_(bytes_max) {}

    void add(const log::Record& record);
    // Encoded events (log::decode) of a queue id, a session, or an address, oldest first, since an
    // instant. For an address also every event of the messages and sessions in which it occurs; for
    // a queue id those of its session, and the other way round.
    std::vector<const std::string*> find(std::string_view what, UtcTime since) const;
    size_t size() const { return records_.size(); }
    size_t bytes() const { return bytes_; }

  private:
    std::deque<std::string> records_;
    size_t bytes_ = 0, bytes_max_;
};

} // namespace tambo::logd

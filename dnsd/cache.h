// Answers kept until their time to live ends (RFC 1034 4.3.4, RFC 2308 for the negative ones).
// Bounded in entries and bytes; the least recently used go first. Pure: the caller has the clock.
#pragma once

#include "common/ipc/messages/dnsd.h"

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

namespace tambo::dnsd {

class Cache {
  public:
    Cache(size_t entries_max, size_t bytes_max)
        : entries_max_(entries_max), bytes_max_(bytes_max) {}

    // ttl_s of the answer is what is left of it.
    std::optional<ipc::DnsAnswer> find(const std::string& name, ipc::DnsType type, int64_t now_ms);
    // Answers with ttl_s 0 and temporary ones are not kept.
    void
    put(const std::string& name, ipc::DnsType type, const ipc::DnsAnswer& answer, int64_t now_ms);
    void clear();
    size_t size() const { return entries_.size(); }
    size_t bytes() const { return bytes_; }

  private:
    struct Entry {
        std::string key;
        ipc::DnsAnswer answer;
        int64_t until_ms;
        size_t bytes;
    };
    using Entries = std::list<Entry>;
    void drop(Entries::iterator entry);

    size_t entries_max_, bytes_max_;
    size_t bytes_ = 0;
    Entries entries_; // the most recently used first
    std::unordered_map<std::string, Entries::iterator> by_key_;
};

} // namespace tambo::dnsd

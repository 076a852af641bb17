// See cache.h.
#include "dnsd/cache.h"

#include "common/base/text.h"

namespace tambo::dnsd {

namespace {

std::string key_of(const std::string& name, ipc::DnsType type) {
    return cat(static_cast<int>(type), ' ', name);
}

// What an entry costs, containers included, rounded up.
size_t bytes_of(const std::string& key, const ipc::DnsAnswer& answer) {
    size_t bytes = 256 + 2 * key.size() + answer.canonical_name.size();
    for (const auto& record : answer.records)
        bytes += sizeof record + record.text.size();
    return bytes;
}

} // namespace

std::optional<ipc::DnsAnswer>
Cache::find(const std::string& name, ipc::DnsType type, int64_t now_ms) {
    const auto known = by_key_.find(key_of(name, type));
    if (known == by_key_.end()) return std::nullopt;
    const auto entry = known->second;
    if (entry->until_ms <= now_ms) {
        drop(entry);
        return std::nullopt;
    }
    entries_.splice(entries_.begin(), entries_, entry);
    auto answer = entry->answer;
    answer.ttl_s = static_cast<uint32_t>((entry->until_ms - now_ms) / 1000);
    return answer;
}

void Cache::put(const std::string& name,
                ipc::DnsType type,
                const ipc::DnsAnswer& answer,
                int64_t now_ms) {
    if (answer.ttl_s == 0 || answer.status == ipc::DnsStatus::temporary) return;
    std::string key = key_of(name, type);
    const auto known = by_key_.find(key);
    if (known != by_key_.end()) drop(known->second);
    const size_t bytes = bytes_of(key, answer);
    if (bytes > bytes_max_) return;
    entries_.push_front({key, answer, now_ms + int64_t{answer.ttl_s} * 1000, bytes});
    by_key_[std::move(key)] = entries_.begin();
    bytes_ += bytes;
    while (entries_.size() > entries_max_ || bytes_ > bytes_max_)
        drop(std::prev(entries_.end()));
}

void Cache::clear() {
    by_key_.clear();
    entries_.clear();
    bytes_ = 0;
}

void Cache::drop(Entries::iterator entry) {
    bytes_ -= entry->bytes;
    by_key_.erase(entry->key);
    entries_.erase(entry);
}

} // namespace tambo::dnsd

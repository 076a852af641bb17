#include "logd/recent.h"

#include "common/base/text.h"

#include <algorithm>
#include <set>

namespace tambo::logd {

namespace {

// With the place in the queue and what the allocator keeps beside it.
size_t cost_of(const std::string& record) {
    return record.capacity() + sizeof record + 16;
}

bool mentions(const log::Record& r, std::string_view what) {
    if (iequals(r.sid, what) || iequals(r.qid, what) || iequals(r.rcpt, what)) return true;
    return std::any_of(r.fields.begin(), r.fields.end(),
                       [&](const auto& field) { return iequals(field.second, what); });
}

} // namespace

void Recent::add(const log::Record& record) {
    std::string packed = log::encode(record);
    packed.shrink_to_fit();
    bytes_ += cost_of(packed);
    records_.push_back(std::move(packed));
    while (bytes_ > bytes_max_ && records_.size() > 1) {
        bytes_ -= cost_of(records_.front());
        records_.pop_front();
    }
}

std::vector<const std::string*> Recent::find(std::string_view what, UtcTime since) const {
    std::set<std::string> sids, qids;
    for (const auto& packed : records_) {
        const auto r = log::decode(packed);
        if (!r || r->time < since || !mentions(*r, what)) continue;
        if (!r->sid.empty()) sids.insert(r->sid);
        if (!r->qid.empty()) qids.insert(r->qid);
    }
    // A message's later events carry only its queue id, a session's earlier ones only its sid.
    std::vector<std::pair<int64_t, const std::string*>> found;
    for (const auto& packed : records_) {
        const auto r = log::decode(packed);
        if (!r || r->time < since) continue;
        const bool belongs = mentions(*r, what) || (!r->qid.empty() && qids.contains(r->qid)) ||
                             (!r->sid.empty() && r->qid.empty() && sids.contains(r->sid));
        if (belongs) found.emplace_back(r->time.ms, &packed);
    }
    // As things happened, also where events of several processes were read one after the other.
    std::ranges::stable_sort(found, {}, [](const auto& entry) { return entry.first; });
    std::vector<const std::string*> records;
    records.reserve(found.size());
    for (const auto& [time, packed] : found)
        records.push_back(packed);
    return records;
}

} // namespace tambo::logd

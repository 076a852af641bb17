#include "logd/recent.h"

#include "common/base/text.h"

#include <algorithm>
#include <set>

namespace tambo::logd {

namespace {

size_t cost_of(const log::Record& r) {
    size_t bytes = sizeof r + r.sid.size() + r.qid.size() + r.rcpt.size() + r.event.size();
    for (const auto& [key, value] : r.fields)
        bytes += 64 + key.size() + value.size();
    return bytes;
}

bool mentions(const log::Record& r, std::string_view what) {
    if (iequals(r.sid, what) || iequals(r.qid, what) || iequals(r.rcpt, what)) return true;
    return std::any_of(r.fields.begin(), r.fields.end(),
                       [&](const auto& field) { return iequals(field.second, what); });
}

} // namespace

void Recent::add(log::Record record) {
    bytes_ += cost_of(record);
    records_.push_back(std::move(record));
    while (bytes_ > bytes_max_ && records_.size() > 1) {
        bytes_ -= cost_of(records_.front());
        records_.pop_front();
    }
}

std::vector<const log::Record*> Recent::find(std::string_view what, UtcTime since) const {
    std::set<std::string_view> sids, qids;
    const auto note = [&](const log::Record& r) {
        if (!r.sid.empty()) sids.insert(r.sid);
        if (!r.qid.empty()) qids.insert(r.qid);
    };
    for (const auto& r : records_) {
        if (r.time >= since && mentions(r, what)) note(r);
    }
    // A message's later events carry only its queue id, a session's earlier ones only its sid.
    std::vector<const log::Record*> found;
    for (const auto& r : records_) {
        if (r.time < since) continue;
        const bool belongs = mentions(r, what) || (!r.qid.empty() && qids.contains(r.qid)) ||
                             (!r.sid.empty() && r.qid.empty() && sids.contains(r.sid));
        if (belongs) found.push_back(&r);
    }
    return found;
}

} // namespace tambo::logd

#include "imapd/session/sequence_set.h"

#include "common/base/text.h"

#include <algorithm>

namespace tambo::imap {

namespace {

// nz-number or '*'.
std::optional<uint32_t> take_number(Cursor& in) {
    if (in.accept('*')) return SequenceSet::kStar;
    const auto number = parse_uint(in.take_while(is_digit), UINT32_MAX);
    if (!number || *number == 0) return std::nullopt;
    return static_cast<uint32_t>(*number);
}

} // namespace

std::optional<SequenceSet> SequenceSet::parse(Cursor& in) {
    SequenceSet set;
    do {
        const auto from = take_number(in);
        if (!from) return std::nullopt;
        auto to = from;
        if (in.accept(':')) to = take_number(in);
        if (!to) return std::nullopt;
        set.parts_.push_back({*from, *to});
    } while (in.accept(','));
    return set;
}

std::vector<NumberRange> SequenceSet::resolve(uint32_t largest) const {
    std::vector<NumberRange> ranges;
    ranges.reserve(parts_.size());
    for (const Part& part : parts_) {
        const uint32_t from = part.from == kStar ? largest : part.from;
        const uint32_t to = part.to == kStar ? largest : part.to;
        if (from == 0 || to == 0) continue;
        ranges.push_back({std::min(from, to), std::max(from, to)});
    }
    std::sort(ranges.begin(), ranges.end(),
              [](const NumberRange& a, const NumberRange& b) { return a.first < b.first; });
    size_t kept = 0;
    for (const NumberRange& range : ranges) {
        if (kept > 0 && range.first <= uint64_t{ranges[kept - 1].last} + 1) {
            ranges[kept - 1].last = std::max(ranges[kept - 1].last, range.last);
        } else {
            ranges[kept++] = range;
        }
    }
    ranges.resize(kept);
    return ranges;
}

bool SequenceSet::within(uint32_t max) const {
    return std::all_of(parts_.begin(), parts_.end(),
                       [max](const Part& p) { return p.from <= max && p.to <= max; });
}

bool contains(const std::vector<NumberRange>& ranges, uint32_t number) {
    const auto after =
        std::upper_bound(ranges.begin(), ranges.end(), number,
                         [](uint32_t n, const NumberRange& range) { return n < range.first; });
    return after != ranges.begin() && number <= std::prev(after)->last;
}

std::string format_uid_set(const std::vector<uint32_t>& uids) {
    std::string out;
    for (size_t i = 0; i < uids.size(); ++i) {
        const uint32_t first = uids[i];
        while (i + 1 < uids.size() && uids[i + 1] == uids[i] + 1)
            ++i;
        if (!out.empty()) out.push_back(',');
        cat_to(out, first);
        if (uids[i] != first) cat_to(out, cat(':', uids[i]));
    }
    return out;
}

} // namespace tambo::imap

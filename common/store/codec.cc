#include "common/store/codec.h"

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/cursor.h"

#include <algorithm>

namespace tambo::store {

namespace {

constexpr size_t kBlockBytes = 20; // of one entry
constexpr size_t kAuxBytes = 36;
constexpr size_t kAppendBytes = 45;
constexpr size_t kRangeBytes = 8;
constexpr size_t kTombstoneBytes = 20;

constexpr uint8_t kStateOneModseq = 1; // one modseq for all instead of one each
constexpr uint8_t kStateKeywords = 2;  // keywords follow

template <class I>
I take_le(Cursor& in) {
    return get_le<I>(in.take_bytes(sizeof(I)).data());
}

void put_id(std::string& out, const Id& id) {
    put_le(out, id.high);
    put_le(out, id.low);
}

Id take_id(Cursor& in) {
    Id id;
    id.high = take_le<uint64_t>(in);
    id.low = take_le<uint64_t>(in);
    return id;
}

std::string delta_head(DeltaKind kind, uint64_t modseq) {
    std::string out;
    put_le(out, static_cast<uint8_t>(kind));
    put_le(out, modseq);
    return out;
}

void put_ranges(std::string& out, std::span<const UidRange> uids) {
    out.reserve(out.size() + uids.size() * kRangeBytes);
    for (const auto& [first, last] : uids) {
        put_le(out, first);
        put_le(out, last);
    }
}

bool take_ranges(Cursor& in, std::vector<UidRange>& out) {
    if (in.rest().size() % kRangeBytes != 0) return false;
    out.reserve(in.rest().size() / kRangeBytes);
    uint32_t above = 0;
    while (!in.empty()) {
        const auto first = take_le<uint32_t>(in);
        const auto last = take_le<uint32_t>(in);
        if (first <= above || last < first) return false;
        above = last;
        out.emplace_back(first, last);
    }
    return true;
}

bool take_appended(Cursor& in, Delta& out) {
    if (in.rest().size() < 8 || (in.rest().size() - 8) % kAppendBytes != 0) return false;
    const UtcTime savedate{take_le<int64_t>(in)};
    while (!in.empty()) {
        Entry entry;
        entry.uid = take_le<uint32_t>(in);
        entry.content = take_le<uint32_t>(in);
        entry.size = take_le<uint32_t>(in);
        entry.internaldate_s = take_le<int64_t>(in);
        entry.flags = take_le<uint8_t>(in);
        entry.keywords = take_le<uint64_t>(in);
        entry.modseq = out.modseq;
        out.entries.push_back(entry);
        out.aux.push_back(Aux{entry.uid, savedate, out.modseq, take_id(in)});
    }
    return true;
}

bool take_state(std::string_view state, std::span<Entry> entries) {
    Cursor in(state);
    const size_t count = entries.size();
    if (state.empty()) return false;
    const auto format = take_le<uint8_t>(in);
    const bool one = (format & kStateOneModseq) != 0, keywords = (format & kStateKeywords) != 0;
    const size_t expected = 1 + count + (one ? 8 : 8 * count) + (keywords ? 8 * count : 0);
    if (state.size() != expected) return false;
    for (Entry& entry : entries)
        entry.flags = take_le<uint8_t>(in);
    const uint64_t common = one ? take_le<uint64_t>(in) : 0;
    for (Entry& entry : entries)
        entry.modseq = one ? common : take_le<uint64_t>(in);
    for (Entry& entry : entries)
        entry.keywords = keywords ? take_le<uint64_t>(in) : 0;
    return true;
}

} // namespace

std::string encode_block(std::span<const Entry> entries) {
    std::string out;
    out.reserve(entries.size() * kBlockBytes);
    for (const Entry& entry : entries) {
        put_le(out, entry.uid);
        put_le(out, entry.content);
        put_le(out, entry.size);
        put_le(out, entry.internaldate_s);
    }
    return out;
}

std::string encode_state(std::span<const Entry> entries) {
    const auto differs = [&](const Entry& entry) { return entry.modseq != entries[0].modseq; };
    const auto tagged = [](const Entry& entry) { return entry.keywords != 0; };
    const bool one = std::none_of(entries.begin(), entries.end(), differs);
    const bool keywords = std::any_of(entries.begin(), entries.end(), tagged);
    std::string out;
    out.reserve(1 + entries.size() * 17);
    out.push_back(static_cast<char>((one ? kStateOneModseq : 0) | (keywords ? kStateKeywords : 0)));
    for (const Entry& entry : entries)
        put_le(out, entry.flags);
    for (const Entry& entry : entries.first(one ? 1 : entries.size()))
        put_le(out, entry.modseq);
    for (const Entry& entry : entries.first(keywords ? entries.size() : 0)) {
        put_le(out, entry.keywords);
    }
    return out;
}

std::string encode_aux(std::span<const Aux> aux) {
    std::string out;
    out.reserve(aux.size() * kAuxBytes);
    for (const Aux& one : aux) {
        put_le(out, one.uid);
        put_le(out, one.savedate.ms);
        put_le(out, one.created_modseq);
        put_id(out, one.email_id);
    }
    return out;
}

bool decode_block(std::string_view block, std::string_view state, std::vector<Entry>& out) {
    if (block.empty() || block.size() % kBlockBytes != 0) return false;
    const size_t before = out.size();
    out.resize(before + block.size() / kBlockBytes);
    const auto entries = std::span(out).subspan(before);
    Cursor in(block);
    uint32_t above = before == 0 ? 0 : out[before - 1].uid;
    for (Entry& entry : entries) {
        entry.uid = take_le<uint32_t>(in);
        entry.content = take_le<uint32_t>(in);
        entry.size = take_le<uint32_t>(in);
        entry.internaldate_s = take_le<int64_t>(in);
        if (entry.uid <= above) return false;
        above = entry.uid;
    }
    return take_state(state, entries);
}

bool decode_aux(std::string_view bytes, std::vector<Aux>& out) {
    if (bytes.size() % kAuxBytes != 0) return false;
    Cursor in(bytes);
    while (!in.empty()) {
        Aux aux;
        aux.uid = take_le<uint32_t>(in);
        aux.savedate.ms = take_le<int64_t>(in);
        aux.created_modseq = take_le<uint64_t>(in);
        aux.email_id = take_id(in);
        out.push_back(aux);
    }
    return true;
}

bool FlagEdit::apply(Entry& entry) const {
    const Flags flags_before = entry.flags;
    const uint64_t keywords_before = entry.keywords;
    switch (mode) {
    case StoreMode::replace:
        entry.flags = flags;
        entry.keywords = keywords;
        break;
    case StoreMode::add:
        entry.flags = static_cast<Flags>(entry.flags | flags);
        entry.keywords |= keywords;
        break;
    case StoreMode::remove:
        entry.flags = static_cast<Flags>(entry.flags & ~flags);
        entry.keywords &= ~keywords;
        break;
    }
    return entry.flags != flags_before || entry.keywords != keywords_before;
}

std::string encode_append(uint64_t modseq,
                          UtcTime savedate,
                          std::span<const Entry> entries,
                          std::span<const Aux> aux) {
    check(entries.size() == aux.size(), "an aux for each entry");
    std::string out = delta_head(DeltaKind::append, modseq);
    out.reserve(out.size() + 8 + entries.size() * kAppendBytes);
    put_le(out, savedate.ms);
    for (size_t i = 0; i < entries.size(); ++i) {
        const Entry& entry = entries[i];
        put_le(out, entry.uid);
        put_le(out, entry.content);
        put_le(out, entry.size);
        put_le(out, entry.internaldate_s);
        put_le(out, entry.flags);
        put_le(out, entry.keywords);
        put_id(out, aux[i].email_id);
    }
    return out;
}

std::string encode_flags(uint64_t modseq, const FlagEdit& edit, std::span<const UidRange> uids) {
    std::string out = delta_head(DeltaKind::flags, modseq);
    put_le(out, static_cast<uint8_t>(edit.mode));
    put_le(out, edit.flags);
    put_le(out, edit.keywords);
    put_ranges(out, uids);
    return out;
}

std::string encode_expunge(uint64_t modseq, std::span<const UidRange> uids) {
    std::string out = delta_head(DeltaKind::expunge, modseq);
    put_ranges(out, uids);
    return out;
}

bool decode_delta(std::string_view bytes, Delta& out) {
    if (bytes.size() < 9) return false;
    Cursor in(bytes);
    out = Delta{};
    out.kind = static_cast<DeltaKind>(in.take());
    out.modseq = take_le<uint64_t>(in);
    switch (out.kind) {
    case DeltaKind::append:
        return take_appended(in, out);
    case DeltaKind::expunge:
        return take_ranges(in, out.uids);
    case DeltaKind::flags:
        if (in.rest().size() < 10 || in.peek() > 2 || in.peek() < 0) return false;
        out.edit.mode = static_cast<StoreMode>(in.take());
        out.edit.flags = take_le<uint8_t>(in);
        out.edit.keywords = take_le<uint64_t>(in);
        return take_ranges(in, out.uids);
    }
    return false;
}

std::vector<UidRange> ranges_of(std::span<const Entry> entries, std::span<const uint32_t> indexes) {
    std::vector<UidRange> ranges;
    for (size_t i = 0; i < indexes.size(); ++i) {
        const uint32_t uid = entries[indexes[i]].uid;
        if (i > 0 && indexes[i] == indexes[i - 1] + 1) {
            ranges.back().second = uid;
        } else {
            ranges.emplace_back(uid, uid);
        }
    }
    return ranges;
}

std::string encode_tombstones(std::span<const Tombstone> tombstones) {
    std::string out;
    out.reserve(tombstones.size() * kTombstoneBytes);
    for (const Tombstone& tombstone : tombstones) {
        put_le(out, tombstone.uid);
        put_id(out, tombstone.email_id);
    }
    return out;
}

bool decode_tombstones(std::string_view bytes, std::vector<Tombstone>& out) {
    if (bytes.size() % kTombstoneBytes != 0) return false;
    Cursor in(bytes);
    while (!in.empty()) {
        const auto uid = take_le<uint32_t>(in);
        out.push_back(Tombstone{uid, take_id(in)});
    }
    return true;
}

} // namespace tambo::store

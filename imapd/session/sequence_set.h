// Sequence sets: "1,5:7,9:*" (RFC 3501 9 "sequence-set"), of sequence numbers or UIDs.
#pragma once

#include "common/base/cursor.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tambo::imap {

// first <= last, both inclusive and not 0.
struct NumberRange {
    uint32_t first, last;
    bool operator==(const NumberRange&) const = default;
};

// A set as the client wrote it. '*' stands for the largest number in use, known only when the set
// is resolved.
class SequenceSet {
  public:
    static constexpr uint32_t kStar = 0;

    // Takes the longest set at the cursor; nullopt (cursor undefined) if there is none: numbers are
    // 1..4294967295, without blanks.
    static std::optional<SequenceSet> parse(Cursor& in);

    // Ascending, disjoint, not adjacent ranges. largest is the value of '*'; with 0 (nothing there)
    // parts that name '*' vanish.
    std::vector<NumberRange> resolve(uint32_t largest) const;
    // No number but '*' is above max: what a set of sequence numbers has to fulfil.
    bool within(uint32_t max) const;

  private:
    struct Part {
        uint32_t from, to; // as written: in any order, kStar for '*'
    };
    std::vector<Part> parts_;
};

// Is number in ranges as resolve() returns them? O(log n).
bool contains(const std::vector<NumberRange>& ranges, uint32_t number);
// "3:5,9" in the order given; ascending runs become ranges. For COPYUID and APPENDUID (RFC 4315 3).
std::string format_uid_set(const std::vector<uint32_t>& uids);

} // namespace tambo::imap

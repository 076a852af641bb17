// Ranges come out ascending, disjoint and not adjacent.
#include "imapd/session/sequence_set.h"

#include <cstdint>
#include <cstdlib>

using namespace tambo;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    Cursor in(std::string_view(reinterpret_cast<const char*>(bytes), size));
    const auto set = imap::SequenceSet::parse(in);
    if (!set) return 0;
    for (const uint32_t largest : {0u, 1u, 1000u, UINT32_MAX}) {
        uint64_t before = 0;
        bool first = true;
        for (const auto& range : set->resolve(largest)) {
            if (range.first == 0 || range.first > range.last) std::abort();
            if (!first && range.first <= before + 1) std::abort();
            before = range.last;
            first = false;
        }
    }
    return 0;
}

#include "imapd/session/search_key.h"

#include <cstdint>
#include <cstdlib>

using namespace tambo::imap;

namespace {

size_t nodes(const SearchKey& key, int depth) {
    if (depth > 2 * tambo::limits::imap_nesting + 3) std::abort();
    size_t count = 1;
    for (const auto& child : key.children)
        count += nodes(child, depth + 1);
    return count;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    Parser in(std::string_view(reinterpret_cast<const char*>(bytes), size));
    try {
        const auto program = parse_search(in);
        if (nodes(program.root, 0) > tambo::limits::imap_search_keys_max) std::abort();
    } catch (const Bad&) {
    }
    return 0;
}

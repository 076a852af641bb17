// What parses is printed in a form that parses to the same again.
#include "imapd/session/fetch_items.h"

#include <cstdint>
#include <cstdlib>

using namespace tambo::imap;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    Parser in(std::string_view(reinterpret_cast<const char*>(bytes), size));
    try {
        for (const auto& item : parse_fetch_items(in)) {
            auto label = fetch_label(item);
            if (item.partial) label.insert(label.size() - 1, ".1");
            Parser again(label);
            const auto items = parse_fetch_items(again);
            if (items.size() != 1 || items[0].section.fields != item.section.fields) std::abort();
        }
    } catch (const Bad&) {
    }
    return 0;
}

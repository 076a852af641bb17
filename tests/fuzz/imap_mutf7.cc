// Whatever decodes is the one spelling of its name.
#include "imapd/session/mutf7.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(bytes), size);
    const auto utf8 = tambo::imap::mutf7_to_utf8(input);
    if (utf8 && tambo::imap::utf8_to_mutf7(*utf8) != input) std::abort();
    return 0;
}

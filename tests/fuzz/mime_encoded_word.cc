// Encoded words and parameters: decoding gives UTF-8 without line ends, encoding gives it back.
#include "common/base/check.h"
#include "common/base/text.h"
#include "common/mime/content.h"
#include "common/mime/encoded_word.h"

using namespace tambo;
using namespace tambo::mime;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view raw(reinterpret_cast<const char*>(data), size);
    const std::string text = decode_words(raw);
    check(is_utf8(text), "text is UTF-8");
    check(text.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos, "of one line");
    for (const size_t column : {size_t{1}, size % 100}) {
        const std::string encoded = encode_words(text, column);
        check(is_ascii(encoded), "encoded words are ASCII");
        if (encoded == text) continue;
        for (const auto word : split(encoded, ' '))
            check(word.size() <= 75, "RFC 2047 2");
        check(decode_words(encoded) == text, "and decode to the same");
    }
    for (const ContentField& field : {parse_content_type(raw), parse_content_disposition(raw)}) {
        for (const Parameter& parameter : field.parameters) {
            check(!parameter.name.empty(), "parameters have names");
            const std::string value = parameter.decoded();
            check(is_utf8(value), "and values in UTF-8");
            const Parameter again{parameter.name, encode_parameter(value), true};
            check(again.decoded() == value, "that survive RFC 2231");
        }
    }
    return 0;
}

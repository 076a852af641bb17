#include "common/mime/idna.h"

#include "common/base/limits.h"
#include "common/mime/icu_data.h"

#include <unicode/bytestream.h>
#include <unicode/idna.h>
#include <unicode/stringpiece.h>

#include <memory>

namespace tambo::mime {

std::optional<std::string> to_a_labels(std::string_view utf8_domain) {
    // Four bytes make at most one character: longer ones can become no domain.
    if (utf8_domain.size() > 4 * limits::smtp_domain_bytes) return std::nullopt;
    use_linked_icu_data();
    UErrorCode status = U_ZERO_ERROR;
    static const std::unique_ptr<const icu::IDNA> uts46(
        icu::IDNA::createUTS46Instance(UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_CHECK_BIDI |
                                           UIDNA_CHECK_CONTEXTJ | UIDNA_USE_STD3_RULES,
                                       status));
    if (!uts46) return std::nullopt;
    std::string ascii;
    icu::StringByteSink<std::string> sink(&ascii);
    icu::IDNAInfo info;
    uts46->nameToASCII_UTF8(
        icu::StringPiece(utf8_domain.data(), static_cast<int32_t>(utf8_domain.size())), sink, info,
        status);
    if (U_FAILURE(status) || info.hasErrors() || ascii.empty()) return std::nullopt;
    return ascii;
}

} // namespace tambo::mime

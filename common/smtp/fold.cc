#include "common/smtp/fold.h"

#include "common/base/check.h"
#include "common/base/text.h"

#include <unicode/unorm2.h>
#include <unicode/ustring.h>

namespace tambo::smtp {

namespace {

std::u16string to_utf16(std::string_view utf8) {
    std::u16string out(utf8.size(), u'\0'); // never more units than bytes
    UErrorCode status = U_ZERO_ERROR;
    int32_t length = 0;
    u_strFromUTF8(out.data(), static_cast<int32_t>(out.size()), &length, utf8.data(),
                  static_cast<int32_t>(utf8.size()), &status);
    check(U_SUCCESS(status), "fold of malformed UTF-8");
    out.resize(static_cast<size_t>(length));
    return out;
}

std::string to_utf8(const std::u16string& text) {
    std::string out(text.size() * 3, '\0');
    UErrorCode status = U_ZERO_ERROR;
    int32_t length = 0;
    u_strToUTF8(out.data(), static_cast<int32_t>(out.size()), &length, text.data(),
                static_cast<int32_t>(text.size()), &status);
    check(U_SUCCESS(status), "UTF-16 from ICU is well-formed");
    out.resize(static_cast<size_t>(length));
    return out;
}

std::u16string normalised(const UNormalizer2* form, const std::u16string& text) {
    std::u16string out(text.size() * 4 + 16, u'\0'); // NFD: at most 4 units for one
    UErrorCode status = U_ZERO_ERROR;
    const int32_t length = unorm2_normalize(form, text.data(), static_cast<int32_t>(text.size()),
                                            out.data(), static_cast<int32_t>(out.size()), &status);
    check(U_SUCCESS(status), "normalisation fits");
    out.resize(static_cast<size_t>(length));
    return out;
}

std::u16string case_folded(const std::u16string& text) {
    std::u16string out(text.size() * 3 + 16, u'\0'); // at most 3 code points for one
    UErrorCode status = U_ZERO_ERROR;
    const int32_t length =
        u_strFoldCase(out.data(), static_cast<int32_t>(out.size()), text.data(),
                      static_cast<int32_t>(text.size()), U_FOLD_CASE_DEFAULT, &status);
    check(U_SUCCESS(status), "folding fits");
    out.resize(static_cast<size_t>(length));
    return out;
}

} // namespace

std::string fold(std::string_view utf8) {
    if (is_ascii(utf8)) return to_lower(utf8);
    UErrorCode status = U_ZERO_ERROR;
    const UNormalizer2* nfc = unorm2_getNFCInstance(&status);
    const UNormalizer2* nfd = unorm2_getNFDInstance(&status);
    check(U_SUCCESS(status), "ICU without normalisation tables");
    // Decomposed before folding, as Unicode D145 says: else U+0345 folds differently each time.
    return to_utf8(normalised(nfc, case_folded(normalised(nfd, to_utf16(utf8)))));
}

} // namespace tambo::smtp

#include "common/mime/icu_data.h"

#include <unicode/udata.h>

namespace tambo::mime {

void use_linked_icu_data() {
    static const bool done = [] {
        UErrorCode status = U_ZERO_ERROR;
        udata_setFileAccess(UDATA_NO_FILES, &status);
        return true;
    }();
    static_cast<void>(done);
}

} // namespace tambo::mime

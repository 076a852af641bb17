// ESMTP parameters of MAIL and RCPT, RFC 5321 4.1.2 esmtp-param: the shared scanner.
#pragma once

#include "common/base/cursor.h"

#include <optional>
#include <string_view>

namespace tambo::smtp {

struct Parameter {
    std::string_view keyword;
    std::string_view value;
    bool has_value = false;
};

// Takes blanks and one parameter; the caller has seen that in is not at its end. nullopt if
// malformed. Values may hold UTF-8 (RFC 6531 3.3); what they mean is the caller's.
std::optional<Parameter> take_parameter(Cursor& in);

} // namespace tambo::smtp
